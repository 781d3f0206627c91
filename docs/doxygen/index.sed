# docs/index.md leads to the guides: they stand below it in the tree of pages.
s#\[([^]]*)\]\(([a-z_-]+)\.md\)#@subpage md_docs_\2 "\1"#g
s#\[([^]]*)\]\(\.\./(CONTRIBUTING|CHANGELOG)\.md\)#@subpage md_\2 "\1"#g
