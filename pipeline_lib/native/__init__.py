"""C code: from stored images to what a network sees. views.h describes it; `build` compiles it, `views` calls it."""
