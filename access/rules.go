package access

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"time"
)

// Rules say which addresses may connect: those that stand in no deny list and, where
// there is an allow list, in that. What the lists hold can be changed while the node
// runs, by their files and by the API.
type Rules struct {
	// Allow holds the ranges of addresses that may connect, such as "192.0.2.0/24",
	// "2001:db8::/32" or a single address. Default: all may.
	Allow []string `yaml:"allow"`

	// Deny holds those that may not; it goes before allow. Default: none.
	Deny []string `yaml:"deny"`

	// AllowFile is a file with more for allow: one range or address in a line, and
	// what follows a # is a comment. It is read again when it changes. Default: none.
	AllowFile string `yaml:"allow_file"`

	// DenyFile is the same for deny. Default: none.
	DenyFile string `yaml:"deny_file"`

	// Shadow holds rules to be tried out: nobody is refused, and whom they would
	// refuse is counted in sluice_address_shadow_refusals_total.
	Shadow ShadowRules `yaml:"shadow"`
}

// ShadowRules are rules that only count.
type ShadowRules struct {
	// Allow holds the ranges of addresses that might connect. Default: all might.
	Allow []string `yaml:"allow"`

	// Deny holds those that might not. Default: none.
	Deny []string `yaml:"deny"`

	// AllowFile is a file with more for allow. Default: none.
	AllowFile string `yaml:"allow_file"`

	// DenyFile is a file with more for deny. Default: none.
	DenyFile string `yaml:"deny_file"`
}

// List is one of the lists of a [Set].
type List uint8

const (
	Allow List = iota
	Deny
	ShadowAllow
	ShadowDeny

	listKinds
)

var listNames = [listKinds]string{"allow", "deny", "shadow_allow", "shadow_deny"}

// String returns the name of the list for metrics, the API and people.
func (l List) String() string { return listNames[l] }

// Lists returns all of them.
func Lists() []List { return []List{Allow, Deny, ShadowAllow, ShadowDeny} }

// ParseList returns the list of that name.
func ParseList(name string) (List, bool) {
	for i, n := range listNames {
		if n == name {
			return List(i), true
		}
	}
	return 0, false
}

// source is where the ranges of a list come from.
type source struct {
	key    string // of the configuration
	ranges []string
	file   string
}

// closes reports whether the list matters even where it is empty: an allow file that
// has become empty allows nobody.
func (s *source) closes(l List) bool { return s.file != "" && (l == Allow || l == ShadowAllow) }

func (r *Rules) sources() [listKinds]source {
	return [listKinds]source{
		Allow:       {"allow", r.Allow, r.AllowFile},
		Deny:        {"deny", r.Deny, r.DenyFile},
		ShadowAllow: {"shadow.allow", r.Shadow.Allow, r.Shadow.AllowFile},
		ShadowDeny:  {"shadow.deny", r.Shadow.Deny, r.Shadow.DenyFile},
	}
}

// Empty reports whether there are no rules at all.
func (r *Rules) Empty() bool {
	for _, s := range r.sources() {
		if len(s.ranges) > 0 || s.file != "" {
			return false
		}
	}
	return true
}

// Validate reports every problem with its key, relative to this struct. It reads
// the files.
func (r *Rules) Validate(report func(key, problem string)) {
	for _, s := range r.sources() {
		for i, text := range s.ranges {
			if _, err := ParseRange(text); err != nil {
				report(fmt.Sprintf("%s[%d]", s.key, i), err.Error())
			}
		}
		if s.file != "" {
			if _, err := readRanges(s.file); err != nil {
				report(s.key+"_file", err.Error())
			}
		}
	}
}

// ParseRange reads "192.0.2.0/24", "2001:db8::/32" or a single address.
func ParseRange(text string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(text); err == nil {
		if addr.Zone() != "" {
			return netip.Prefix{}, fmt.Errorf("%q names an interface, which no client has", text)
		}
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	switch {
	case err != nil:
		return p, fmt.Errorf(`%q is no range of addresses; write "192.0.2.0/24", "2001:db8::/32" or a single address`, text)
	case p.Addr().Is4In6():
		return p, fmt.Errorf("%q is IPv4 written as IPv6; write it as IPv4", text)
	case p != p.Masked():
		return p, fmt.Errorf("%q has bits beyond its length; write %s", text, p.Masked())
	}
	return p, nil
}

// Limits of a file of ranges.
const (
	maxFileBytes  = 64 << 20
	maxFileRanges = 1_000_000
)

// readRanges reads a file of ranges.
func readRanges(path string) ([]netip.Prefix, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	switch {
	case err != nil:
		return nil, err
	case len(b) > maxFileBytes:
		return nil, fmt.Errorf("%s has more than %d bytes", path, maxFileBytes)
	}
	list, err := parseRanges(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return list, nil
}

func parseRanges(text []byte) (list []netip.Prefix, err error) {
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line, _, _ := strings.Cut(lines.Text(), "#")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		p, err := ParseRange(line)
		switch {
		case err != nil:
			return nil, fmt.Errorf("line %d: %w", n, err)
		case len(list) == maxFileRanges:
			return nil, fmt.Errorf("more than %d ranges", maxFileRanges)
		}
		list = append(list, p)
	}
	if lines.Err() != nil {
		return nil, errors.New("a line is far too long for a range of addresses")
	}
	return list, nil
}

// stamp tells whether a file has changed.
type stamp struct {
	size int64
	time time.Time
}

func stampOf(path string) (s stamp, err error) {
	if path == "" {
		return s, nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return s, err
	}
	return stamp{info.Size(), info.ModTime()}, nil
}
