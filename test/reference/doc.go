// Package reference holds the tests of the papers that describe the whole project: the architecture names what is there, and
// the generated pages of the reference are those of the code. With -update it writes the generated pages anew.
package reference
