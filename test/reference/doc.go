// Package reference holds the tests of the papers that describe the whole project: the architecture
// names what is there, and the generated pages of the reference say what the code says. With
// -update the tests write the generated pages. Start with page.go for what all generated pages
// share.
package reference
