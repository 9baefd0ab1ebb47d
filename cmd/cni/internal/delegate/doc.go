// Package delegate executes another plugin for this one, as the CNI specification says. The
// library's own invoke package brings a tracing framework along that every start of a plugin would
// pay for.
//
// An error is the other plugin's, with its code and its name in front, or says that the plugin is
// not in CNI_PATH. Start reading at run.
package delegate
