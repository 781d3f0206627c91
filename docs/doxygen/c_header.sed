# nibble.h is C: its comments become docstrings, the first one the text of its page. No line moves.
1,/^ \*\/$/{
  1s#^/\*#/** @verbatim#
  s#^ \*/$#@endverbatim @file */#
  s#^ \* ?##
}
s#^/\* #/** #
s#([;,)]) +/\* #\1 /**< #
