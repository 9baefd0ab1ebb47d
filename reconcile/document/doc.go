// Package document defines the JSON documents that podnet writes for other programs, and those that it reads back.
//
// A document is a struct with its fields' names in JSON, and has an apiVersion and a kind. The package is pure: it makes
// documents from values and decodes them from bytes. It reads no file and no clock; a document that holds a time gets it from
// its caller. Start reading at NodeStatus, the document of the node's status file.
package document
