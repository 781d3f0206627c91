# Links of README.md and docs, for the built pages. Headers and their folders have pages of their own there; other files are linked from
# build/docs/html, as are all in headings. Pictures are copied (IMAGE_PATH). Headings that are linked to have a label.
/^#/s#\]\((\.\./)?include/#](../../../include/#g
s#\]\((\.\./)?include/(nibble/[a-z0-9_/]+\.hp*)\)#](@ref \2)#g
s#\]\((\.\./)?include/(nibble/[a-z0-9_]+)\)#](@ref include/\2)#g
s#!\[([^]]*)\]\([^)]*/([a-z0-9_]+\.svg)\)#![\1](\2)#g
s#\]\((\.\./)?((examples|tests|cmake|benchmarks)[a-zA-Z0-9_/.]*)\)#](../../../\2)#g
s#\]\(([a-z_/.]+\.md)?\#([a-z-]+)\)#](@ref \2)#g
s/^## How fast$/& {#how-fast}/
s/^## The choice$/& {#the-choice}/
s/^## Quantization-aware training$/& {#quantization-aware-training}/
s/^## Compile the kernels once$/& {#compile-the-kernels-once}/
