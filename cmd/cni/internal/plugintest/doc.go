// Package plugintest tests the plugins as runtimes use them: the real programs, executed with an
// environment and a configuration on standard input, in network namespaces of the test's own.
package plugintest
