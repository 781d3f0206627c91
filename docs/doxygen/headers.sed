# The comment that a header begins with becomes the text of its page. No line moves.
1,/^\#pragma once/{
  1s#^//#/** @verbatim#
  s#^// ?##
  s#^\#pragma once#@endverbatim @file */#
}
