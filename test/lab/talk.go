package lab

import (
	"fmt"
	"io"
	"net"
	"os"
)

// talkEnv carries the address to listen on or to dial.
const talkEnv = "PODNET_LAB_TALK"

// greeting is what the listening process says.
const greeting = "hello from the other process\n"

// listenMain is a pod's server process: it answers every connection with the greeting, until it is
// killed. The line on standard output says that it listens.
func listenMain() int {
	l, err := net.Listen("tcp", os.Getenv(talkEnv))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println("listening")
	for {
		c, err := l.Accept()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		_, _ = io.WriteString(c, greeting) // whoever hangs up early gets nothing
		c.Close()
	}
}

// dialMain is a pod's client process: it prints what the server says.
func dialMain() int {
	c, err := net.Dial("tcp", os.Getenv(talkEnv))
	if err == nil {
		_, err = io.Copy(os.Stdout, c)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
