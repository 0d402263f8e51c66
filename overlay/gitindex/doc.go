// Package gitindex recognizes what is staged in an index of git.
//
// # Contract
//
// Digest reads versions 2, 3 and 4, of repositories with SHA-1 and with SHA-256,
// and says the same of two files with the same entries: stage, mode, path, object
// name and flags. What stat(2) said of the files in the work tree plays no part,
// nor do the extensions that are caches (TREE, UNTR, FSMN, EOIE, IEOT): a plain
// git status rewrites both. A split or sparse index, an extension that is not
// known, entries out of order, or a checksum that is wrong is ErrFormat: then
// nobody can tell but by the bytes.
//
// It allocates a few hundred bytes however large the file is, and takes no file
// of more than MaxSize bytes.
package gitindex
