package conformance

import (
	"errors"
	"fmt"
)

// faulty are calls that fail, with the codes that the specification has for them, if it has.
func (h *host) faulty() map[string]struct {
	err   error
	codes []int
} {
	type calls = map[string]struct {
		err   error
		codes []int
	}
	p := h.Pod()
	all := []string{"CONTAINERID=" + p.ID, "NETNS=" + p.Path, "IFNAME=eth0", "PATH=" + h.Plugins}
	plugin := func(stdin string, env ...string) error {
		_, err := h.Execute("bridge", stdin, env...)
		return err
	}
	good := h.gateway(h.ranges(subnet4)).Text()
	small := h.gateway(h.ranges("10.2.0.0/30")).With(object{"name": "small", "bridge": "br1"})
	h.first(small)
	_, full := h.Add(h.Pod(), small)
	_, range31 := h.Add(h.Pod(), h.gateway(h.ranges("10.1.0.0/31")))
	_, slash := h.Add(h.Pod(), h.gateway(h.ranges(subnet4)).With(object{"bridge": "a/b"}))
	_, tiny := h.Add(h.Pod(), h.gateway(h.ranges(subnet4)).With(object{"mtu": 20}))
	_, tight := h.Add(h.Pod(), h.gateway(h.ranges(subnet6)).With(object{"mtu": 1279}))
	_, zero := h.Add(h.Pod(), h.gateway(h.ranges(subnet4)).With(object{"runtimeConfig": object{"mac": "00:00:00:00:00:00"}}))
	return calls{
		"a configuration that is no JSON":  {plugin(`{"cniVersion":`, append(all, "COMMAND=ADD")...), []int{6}},
		"no CNI_NETNS":                     {plugin(good, "COMMAND=ADD", all[0], all[2], all[3]), []int{4}},
		"a forbidden CNI_CONTAINERID":      {plugin(good, "COMMAND=ADD", "CONTAINERID=../x", all[1], all[2], all[3]), []int{4}},
		"an unknown CNI_COMMAND":           {plugin(good, append(all, "COMMAND=JUMP")...), []int{4}},
		"a range that is too small":        {range31, []int{7}},
		"a bridge with a slash":            {slash, []int{7}},
		"an mtu that no link has":          {tiny, []int{7}},
		"an mtu too small for IPv6":        {tight, []int{7}},
		"a MAC address of zeros":           {zero, []int{7}},
		"an exhausted range, its own code": {full, []int{11, 100, 101, 102, 103, 104, 105, 106, 107, 108, 109}},
	}
}

func errorCodes(h *host) error {
	var errs error
	for what, c := range h.faulty() {
		errs = errors.Join(errs, refused(what, c.err, c.codes))
	}
	return errs
}

func errorVersion(h *host) error {
	var errs error
	for what, c := range h.faulty() {
		var f *fault
		switch {
		case what == "a configuration that is no JSON": // and so has no version
		case !errors.As(c.err, &f):
			errs = errors.Join(errs, fmt.Errorf("%s: %v", what, c.err))
		case f.Garbled != "" || f.CNIVersion != h.version:
			errs = errors.Join(errs, fmt.Errorf("%s: the cniVersion is %q, not %s: %w", what, f.CNIVersion, h.version, f))
		}
	}
	return errs
}

func badNames(h *host) error {
	good := h.gateway(h.ranges(subnet4))
	p := h.Pod()
	for _, id := range []string{"../x", "a b", "-a", ""} {
		bad := *p
		bad.ID = id
		_, err := h.Add(&bad, good)
		if err := refused("container id "+id, err, []int{4}); err != nil {
			return err
		}
	}
	for _, ifname := range []string{"sixteencharacter", "a/b", "a:b", "..", "a b"} {
		bad := *p
		bad.IfName = ifname
		_, err := h.Add(&bad, good)
		if err := refused("ifname "+ifname, err, []int{4}); err != nil {
			return err
		}
	}
	for _, name := range []string{"", "../net", "a b"} {
		_, err := h.Add(p, good.With(object{"name": name}))
		if err := refused("network "+name, err, []int{4, 7}); err != nil {
			return err
		}
	}
	return nil
}

func badVersion(h *host) error {
	for _, version := range []string{"9.0.0", "0.5.0"} {
		_, err := h.Add(h.Pod(), h.gateway(h.ranges(subnet4)).With(object{"cniVersion": version}))
		if err := refused(version, err, []int{1}); err != nil {
			return err
		}
	}
	return nil
}
