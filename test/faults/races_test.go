package faults

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/podnet/podnet/test/cnihost"
	"github.com/podnet/podnet/test/lab"
)

// atOnce is how many runtimes' calls are under way together.
const atOnce = 32

// racers is how many pods there are: PODNET_RACE_PODS, or 1,000 in a full run.
func racers(t *testing.T) int {
	t.Helper()
	if text := os.Getenv("PODNET_RACE_PODS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatalf("PODNET_RACE_PODS: %v", err)
		}
		return n
	}
	if lab.Full() {
		return 1000
	}
	return 150
}

// holders knows who has which address from the moment that an ADD returns until the moment that its
// DEL begins.
type holders struct {
	mu   sync.Mutex
	who  map[string]string
	most int
}

func (h *holders) take(r cnihost.Result, id string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, ip := range r.IPs {
		if other, taken := h.who[ip.Address]; taken {
			return fmt.Errorf("%s is given to %s while %s has it", ip.Address, id, other)
		}
		h.who[ip.Address] = id
	}
	h.most = max(h.most, len(h.who))
	return nil
}

func (h *holders) give(r cnihost.Result) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, ip := range r.IPs {
		delete(h.who, ip.Address)
	}
}

// TestRaces makes 32 calls at a time, in random order, for more pods than the pool has addresses.
// At every moment an address belongs to one pod only, and in the end nothing is left.
func TestRaces(t *testing.T) {
	for _, family := range []struct {
		name    string
		subnets []string
	}{
		{"IPv4", []string{"10.1.0.0/25"}},
		{"dual stack", []string{"10.1.0.0/25", "fd00:1::/120"}},
	} {
		t.Run(family.name, func(t *testing.T) {
			h := newHost(t)
			var sets []any
			for _, s := range family.subnets {
				sets = append(sets, []any{cnihost.Object{"subnet": s}})
			}
			conf := bridged(h, cnihost.Object{"ipam": cnihost.Object{"type": "host-local", "dataDir": h.Dir, "ranges": sets}})
			first := h.Pod()
			h.MustAdd(first, conf)
			before := h.Traces()
			race(t, h, conf)
			if _, err := lab.Poll(t.Context(), lab.Patience, func() error {
				return cnihost.SameTraces("after the race", h.Traces(), before)
			}); err != nil {
				t.Error(err)
			}
		})
	}
}

// race has every worker bring pods and take them away, two or three at hand, until all have come
// and gone.
func race(t *testing.T, h *cnihost.Host, conf cnihost.Object) {
	t.Helper()
	total := racers(t)
	addresses := &holders{who: map[string]string{}}
	pods := make(chan int, total) // nobody waits for a worker that has failed
	begin := time.Now()
	var group sync.WaitGroup
	for worker := range atOnce {
		group.Add(1)
		go func() {
			defer group.Done()
			w := &racer{Host: h, conf: conf, addresses: addresses, dice: rand.New(rand.NewPCG(uint64(worker), 7))}
			for n := range pods {
				if err := w.next(n); err != nil {
					t.Errorf("pod %d: %v", n, err)
				}
			}
			for len(w.held) > 0 {
				if err := w.drop(); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	for n := range total {
		pods <- n
	}
	close(pods)
	group.Wait()
	line := fmt.Sprintf("race: %-44s %5d pods, %d at a time, at most %d addresses held: %v", strings.TrimPrefix(t.Name(), "TestRaces/"),
		total, atOnce, addresses.most, time.Since(begin).Round(time.Millisecond))
	if lab.Full() {
		fmt.Println(line) // below the other tables
		return
	}
	t.Log(line)
}

// racer is one of the callers, with the pods that it has at the moment.
type racer struct {
	*cnihost.Host
	conf      cnihost.Object
	addresses *holders
	dice      *rand.Rand
	held      []attached
}

type attached struct {
	pod    *cnihost.Pod
	result cnihost.Result
}

// next brings a pod, and takes away one at random when there are three.
func (w *racer) next(n int) error {
	p := &cnihost.Pod{Namespace: lab.NewNamespace(w.TB, "racer"), ID: fmt.Sprintf("racer-%d", n), IfName: "eth0"}
	r, err := w.Add(p, w.conf)
	if err != nil {
		return fmt.Errorf("ADD: %w", err)
	}
	if err := w.addresses.take(r, p.ID); err != nil {
		return err
	}
	w.held = append(w.held, attached{p, r})
	if len(w.held) < 3 {
		return nil
	}
	return w.drop()
}

// drop takes a pod away, its namespace before or after the DEL.
func (w *racer) drop() error {
	i := w.dice.IntN(len(w.held))
	gone := w.held[i]
	w.held = append(w.held[:i], w.held[i+1:]...)
	w.addresses.give(gone.result)
	if w.dice.IntN(4) == 0 {
		if err := gone.pod.Close(); err != nil {
			return err
		}
	}
	if err := w.Del(gone.pod, w.conf); err != nil {
		return fmt.Errorf("DEL of %s: %w", gone.pod.ID, err)
	}
	return gone.pod.Close()
}
