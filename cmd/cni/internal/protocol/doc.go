// Package protocol is a plugin's side of the CNI specification: what the runtime says in the
// environment and on standard input, and what it is answered. It is podnet's own because the
// library's answers lack the cniVersion that the specification asks for, give one code for all that
// goes wrong, and keep fields of 1.1 in results of 1.0.
//
// Main reads a Request, which holds the configuration as an Object, and calls the plugin's verb.
// Every plugin takes its fields out of that Object, so that the text is read once. An error is
// printed with its code, or as one of the kernel if it has none.
//
// Start reading at Main.
package protocol
