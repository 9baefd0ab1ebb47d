// Package files reads and replaces files so that a crash, a full disk or another user's file in the
// way loses nothing. A file is replaced by renaming a complete one over it, with the directory
// synced. Trust reports who besides root can change a path.
package files
