// Command empty is what the operating system and the Go runtime take for a program that does
// nothing.
package main

func main() {}
