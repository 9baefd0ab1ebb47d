package rollout

import (
	"errors"
	"io/fs"

	"github.com/podnet/podnet/reconcile"
	"github.com/podnet/podnet/schema"
)

// Why a file on disk is not in force.
const (
	ReasonMissing    = "Missing"
	ReasonUnreadable = "Unreadable"
	ReasonInvalid    = "Invalid"
	ReasonNoEntry    = "NoEntry"
	ReasonUnsure     = "UnsureIdentity"
	ReasonGuard      = "RemovalGuard"
	ReasonRolledBack = "RolledBack"
	ReasonImpossible = "Impossible" // this node cannot follow it
)

// Refused is the error of a topology with which nothing is wrong in itself: the guard does not let
// it pass, or it was rolled back. An operator may overrule it.
type Refused struct {
	Guard  reconcile.Guard
	Reason string // ReasonGuard or ReasonRolledBack
}

func (e *Refused) Error() string { return e.Guard.Message }

// refusal puts an error into a word and a sentence.
func refusal(err error) (reason, message string) {
	var refused *Refused
	switch {
	case err == nil:
		return "", ""
	case errors.As(err, &refused):
		return refused.Reason, err.Error()
	case errors.Is(err, fs.ErrNotExist):
		return ReasonMissing, absence(err)
	case errors.As(err, new(*fs.PathError)):
		return ReasonUnreadable, err.Error() + " (it has to be a file that root can read)"
	case errors.As(err, new(*schema.Invalid)):
		return ReasonInvalid, err.Error()
	case errors.As(err, new(*reconcile.NoEntryError)):
		return ReasonNoEntry, err.Error()
	}
	return ReasonUnsure, err.Error()
}

// absence is the sentence for a file that is not there.
func absence(err error) string {
	var file *fs.PathError
	if errors.As(err, &file) {
		return "there is no " + file.Path + " (put the topology there)"
	}
	return err.Error() + " (put the topology there)"
}
