package reconcile

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/go-multierror"
	"github.com/podnet/podnet/state"
)

// LeftOver is what a second look finds still to be done, or cannot see, although nothing has said
// so: neither the step itself nor what it stands on.
func (p *Plan) LeftOver(again *Plan) (errs []error) {
	for k, err := range again.Unknown {
		if p.Unknown[k] == nil && err != nil {
			errs = append(errs, err)
		}
	}
	if len(again.Steps) == 0 {
		return errs
	}
	done, known := map[state.Key][]*Step{}, map[state.Key]bool{}
	for _, s := range p.Steps {
		if s.Result == Done {
			done[s.Key()] = append(done[s.Key()], s)
		} else {
			known[s.Key()] = true
		}
	}
	for _, s := range again.Steps {
		err := fmt.Errorf("did not converge: %s %s %s is still to be done", s.Op, s.Kind, s.Object().Name())
		for _, d := range done[s.Key()] {
			d.Result, d.Err = Failed, err
		}
		if known[s.Key()] || known[s.Object().Parent()] {
			known[s.Key()] = true
			continue
		}
		errs = append(errs, err)
	}
	return errs
}

// Touched are the kinds of which something was done, or tried.
func (p *Plan) Touched() state.Kinds {
	var kinds state.Kinds
	for _, s := range p.Steps {
		if s.Result != Skipped {
			kinds = kinds.With(s.Kind)
		}
	}
	return kinds
}

// Sentences is how several errors read in one line of a log or status: the first few, each once
// however many objects it kept from being made, and how many more there are.
func Sentences(errs []error) string {
	const most = 3
	var said []string
	for _, err := range errs {
		for text := range strings.Lines(err.Error()) {
			if text = strings.TrimSpace(text); !slices.Contains(said, text) {
				said = append(said, text)
			}
		}
	}
	text := strings.Join(said[:min(len(said), most)], "; ")
	if len(said) > most {
		text += fmt.Sprintf("; and %d more", len(said)-most)
	}
	return text
}

// Errors takes an error of Converge apart.
func Errors(err error) []error {
	if err == nil {
		return nil
	}
	if several := new(multierror.Error); errors.As(err, &several) {
		return several.Errors
	}
	return []error{err}
}

// Sentence is a conflict in words, with its remedy.
func Sentence(c state.Conflict) string {
	s := fmt.Sprintf("%s %s: %s", c.Key.Kind, c.Object(), c.Owner)
	if c.Remedy != "" {
		s += "; remedy: " + c.Remedy
	}
	return s
}
