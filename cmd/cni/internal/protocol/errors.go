package protocol

import (
	"errors"
	"fmt"
)

// Codes of the CNI specification, and from 100 on podnet's own.
const (
	CodeVersion     uint = 1  // the version of the configuration is unknown, or has no such verb
	CodeUnsupported uint = 2  // this host lacks a program or a part of the kernel that is needed
	CodeContainer   uint = 3  // the container or its namespace is not there
	CodeEnvironment uint = 4  // a variable of the environment is missing or wrong
	CodeIO          uint = 5  // reading or writing failed
	CodeDecode      uint = 6  // the configuration is no JSON, or a field has the wrong type
	CodeConfig      uint = 7  // the configuration asks for what cannot be
	CodeTryLater    uint = 11 // something is busy that soon is not
	CodeNotReady    uint = 50 // STATUS: an ADD would fail
	CodeLimited     uint = 51 // STATUS: an ADD would fail, and pods that are there may be cut off

	CodeExhausted   uint = 100 // no address left in a range, no port left on a bridge
	CodeUnavailable uint = 101 // the requested address is taken, or is none for a pod
	CodeConflict    uint = 102 // an object of somebody else is in the way
	CodeChanged     uint = 103 // CHECK: the pod's network is not as its ADD left it
	CodeKernel      uint = 104 // the kernel refused
)

// Error is what a runtime gets to read. Msg says what is wrong and, where that is known, what to
// do.
type Error struct {
	Code    uint
	Msg     string
	Details string
	cause   error
}

// Error returns the message and the details.
func (e *Error) Error() string {
	if e.Details == "" {
		return e.Msg
	}
	return e.Msg + ": " + e.Details
}

// Unwrap returns what Errorf was given with %w.
func (e *Error) Unwrap() error { return e.cause }

// Errorf makes an Error; %w keeps the cause.
func Errorf(code uint, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Msg: err.Error(), cause: errors.Unwrap(err)}
}

// asError finds the Error in a chain and keeps what was said around it. What has no code came out
// of the kernel.
func asError(err error) *Error {
	var e *Error
	if !errors.As(err, &e) {
		return &Error{Code: CodeKernel, Msg: err.Error(), cause: err}
	}
	if err == error(e) {
		return e
	}
	return &Error{Code: e.Code, Msg: err.Error(), cause: err}
}
