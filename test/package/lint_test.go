package pkg

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/podnet/podnet/test/lab"
)

// What lintian and rpmlint may say of the packages, and why that is as it should be.
var accepted = map[string]string{
	"bogus-mail-host":                     "the project has no mailbox",
	"bogus-mail-host-in-debian-changelog": "the same",
	"statically-linked-binary":            "so that one package is good for every distribution",
	"initial-upload-closes-no-bugs":       "Debian's bug tracker knows nothing of it",
	"maintainer-script-calls-systemctl":   "the same scripts for dpkg and rpm; nothing starts that did not run",
	"package-contains-vcs-control-file":   "the example is made to be copied into a repository",
	"version-control-internal-file":       "the same",
	"unknown-field":                       "nfpm's License field",
	"invalid-license":                     "rpmlint does not know SPDX's Apache-2.0",
	"manpage-not-compressed":              "gzip, not bz2, is what man pages have everywhere else",
	"spurious-executable-perm":            "an example that is a program",
	"only-non-binary-in-usr-lib":          "units, drop-ins and CNI plugins belong there",
	"no-binary":                           "it has: static ones, which rpmlint does not count",
	"no-signature":                        "who publishes it signs it",
	"no-changelogname-tag":                "nfpm cannot write one that rpm takes",
	"not-listed-as-documentation":         "trees and man pages cannot be marked with nfpm",
	"dangerous-command-in-%postun":        "rm at dpkg's purge, which rpm does not have",
	"no-manual-page-for-binary":           "there are, compressed with gzip",
	"wrong-name-for-upstream-changelog":   "README links to it by the name that it has in the source tree",
}

// What the distributions' own checks of packages find.
func TestPackageLint(t *testing.T) {
	if os.Getenv("PODNET_E2E") == "" {
		t.Skip("PODNET_E2E is not set, as make e2e does: this takes long")
	}
	for program, suffix := range map[string]string{"lintian": "deb", "rpmlint": "rpm"} {
		t.Run(program, func(t *testing.T) {
			requires(t, program, program)
			cmd := exec.Command(program, made(t, lab.SourceTree(), suffix))
			cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
			out, _ := cmd.CombinedOutput() // what it says counts
			found := regexp.MustCompile(`(?m)^podnet(?:\.[a-z0-9_]+)?: [EW]: (\S+).*$|^[EW]: podnet: (\S+).*$`).FindAllStringSubmatch(string(out), -1)
			if len(found) == 0 {
				t.Fatalf("it says nothing of the package:\n%s", out)
			}
			for _, f := range found {
				if accepted[f[1]+f[2]] == "" {
					t.Error(strings.TrimSpace(f[0]))
				}
			}
		})
	}
}
