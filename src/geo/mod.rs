//! Where clients are, and which order of clusters follows from it: databases in, a compiled map
//! out. Pure: files are read, and written, by others.
