# Links of README.md and docs to files of the repository, as links of the built pages: headers and their folders to their own pages there,
# other files, and all in headings, to the files, from build/docs/html.
/^#/s#\]\((\.\./)?include/#](../../../include/#g
s#\]\((\.\./)?include/(nibble/[a-z0-9_/]+\.hp*)\)#](@ref \2)#g
s#\]\((\.\./)?include/(nibble/[a-z0-9_]+)\)#](@ref include/\2)#g
s#\]\((\.\./)?((examples|tests|cmake|benchmarks)[a-zA-Z0-9_/.]*)\)#](../../../\2)#g
