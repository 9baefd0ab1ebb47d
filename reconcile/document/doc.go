// Package document defines the JSON documents that podnet writes for other programs, and those that
// it reads back.
//
// A document is a struct that has an apiVersion and a kind, and whose tags name the fields in JSON.
// The package is pure: it makes documents from values and decodes them from bytes. It reads no file
// and no clock: a caller says what time it is.
//
// Each file holds the documents of one verb of podnetctl. Start with NodeStatus in status.go, and with
// Plan in plan.go.
package document
