package shell

import (
	"os/exec"
	"testing"
)

// hostile are words that somebody may give to a link, each of them valid to the kernel or close to
// it.
var hostile = []string{
	"", "eth0", "podnet.1", ";reboot;", "$(reboot)", "`reboot`", "|sh", "&", "a'b", `a"b`, `\`, "a b", "*", "~", "#x", "!x", "-x", "%s", "%d", "=x", "{a,b}",
	"\x1b]0;owned\a\x1b[5m", "\x9b31m", "\u202egnp", "\u009b2J", "a\nb", "\xff\xfe", "\x1b'; reboot #", "é", "\ufffd", "\\033", "\x1b%s\\",
}

// TestQuote has a shell hand every word to printf, which prints it back.
func TestQuote(t *testing.T) {
	for _, word := range hostile {
		out, err := exec.Command("sh", "-c", "printf %s "+Quote(word)).Output()
		if err != nil || string(out) != word {
			t.Errorf("%q as %s comes back as %q, %v", word, Quote(word), out, err)
		}
		if q := Quote(word); Printable(q) != q {
			t.Errorf("%q: a terminal does not show %q", word, q)
		}
	}
	if got := Join("ip", "link", "set", ";x;", "up"); got != "ip link set ';x;' up" {
		t.Error(got)
	}
}

func TestPrintable(t *testing.T) {
	for text, want := range map[string]string{
		"eth0 é 日本": "eth0 é 日本", "\x1b[5m": `\x1b[5m`, "a\nb\tc": `a\nb\tc`, "\x7f": `\x7f`, "\u009b2J": `\u009b2J`, "\u202egnp": `\u202egnp`,
		"\xff": `\xff`, `\x1b`: `\x1b`, "\ufffd": `\ufffd`, "a\u00a0b": `a\u00a0b`,
	} {
		if got := Printable(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
		if twice := Printable(Printable(text)); twice != Printable(text) {
			t.Errorf("%q changes again: %q", text, twice)
		}
	}
}
