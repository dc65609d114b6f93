package config_test

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"sluice/internal/config"
)

// house is a configuration with every kind of value.
type house struct {
	Name    string          `yaml:"name"`
	Open    bool            `yaml:"open"`
	Floors  int             `yaml:"floors"`
	Small   int8            `yaml:"small"`
	Port    uint16          `yaml:"port"`
	Ratio   float64         `yaml:"ratio"`
	Wait    time.Duration   `yaml:"wait"`
	Store   int64           `yaml:"store" unit:"bytes"`
	Addr    netip.Addr      `yaml:"addr"`
	Tags    []string        `yaml:"tags"`
	Rooms   map[string]room `yaml:"rooms"`
	Doors   []door          `yaml:"doors"`
	Kitchen room            `yaml:"kitchen"`
	Hidden  string          `yaml:"-"`
	Private string
}

type room struct {
	Beds     int           `yaml:"beds"`
	Interval time.Duration `yaml:"heartbeat_interval"`
}

func (r *room) Validate(report func(key, problem string)) {
	if r.Beds < 0 {
		report("beds", "is negative")
	}
}

type door struct {
	Key string `yaml:"key"`
}

func (h *house) Validate(report func(key, problem string)) {
	if h.Name == "" {
		report("name", "is missing")
	}
	for i, d := range h.Doors {
		if d.Key == "" {
			report(fmt.Sprintf("doors[%d].key", i), "is missing")
		}
	}
	h.Kitchen.Validate(func(key, problem string) { report("kitchen."+key, problem) }) // asked twice, told once
}

func TestDecode(t *testing.T) {
	const text = `
name: "Zum Löwen"
open: true
floors: -3
small: 127
port: 65535
ratio: 0.25
wait: 1m30s
store: 64KiB
addr: "::1"
tags: [a, 8080, "true"]
rooms:
  blue: {beds: 2}
  red:            # nothing said: all defaults
doors:
  - key: k1
  - {key: k2}
kitchen:
  heartbeat_interval: 25s
`
	var got house
	if _, err := config.Decode("house.yaml", []byte(text), &got); err != nil {
		t.Fatal(err)
	}
	want := house{
		Name: "Zum Löwen", Open: true, Floors: -3, Small: 127, Port: 65535, Ratio: 0.25,
		Wait: 90 * time.Second, Store: 64 << 10, Addr: netip.IPv6Loopback(),
		Tags:    []string{"a", "8080", "true"},
		Rooms:   map[string]room{"blue": {Beds: 2}, "red": {}},
		Doors:   []door{{"k1"}, {"k2"}},
		Kitchen: room{Interval: 25 * time.Second},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestDecodeProblems(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"empty file", "", "f: name: is missing"},
		{"only comments", "# nothing\n", "f: name: is missing"},
		{"unknown key, near", "name: n\nkitchen:\n  heartbeat-intervall: 5s\n",
			"f:3: kitchen.heartbeat-intervall: unknown key; did you mean heartbeat_interval?"},
		{"unknown key, nothing near", "name: n\nkitchen: {stove: 1}\n",
			"f:2: kitchen.stove: unknown key; known here: beds, heartbeat_interval"},
		{"field without a tag", "name: n\nkitchen: {Beds: 1}\ndoors: [{key: k, private: 1}]\n",
			"f:2: kitchen.Beds: unknown key; did you mean beds?\nf:3: doors[0].private: unknown key; known here: key"},
		{"key twice", "name: a\nfloors: 1\nname: b\n", "f:3: name: stands here a second time, first on line 1; remove one"},
		{"map key twice", "name: n\nrooms:\n  a: {}\n  a: {}\n", "f:4: rooms.a: stands here a second time, first on line 3; remove one"},
		{"no unit", "name: n\nwait: 30\n", `f:2: wait: "30" has no unit; write 30s for seconds, or ms, m, h`},
		{"not a duration", "name: n\nwait: soon\n", `f:2: wait: "soon" is not a duration; write one as 30s, 500ms or 1h30m`},
		{"not a size", "name: n\nstore: 64 KiBit\n", `f:2: store: "64 KiBit" is not a size; write one as 65536, 64KiB or 1MiB`},
		{"negative size", "name: n\nstore: -1\n", `f:2: store: "-1" is not a size; write one as 65536, 64KiB or 1MiB`},
		{"size too large", "name: n\nstore: 8388608TiB\n", `f:2: store: "8388608TiB" is too large`},
		{"not a boolean", "name: n\nopen: yes\n", `f:2: open: "yes" is neither true nor false`},
		{"not a number", "name: n\nfloors: ten\nratio: .nan\n",
			"f:2: floors: \"ten\" is not a whole number, or too large\nf:3: ratio: \".nan\" is not a number"},
		{"out of range", "name: n\nport: 65536\nsmall: -129\n",
			"f:2: port: \"65536\" is out of range\nf:3: small: \"-129\" is out of range"},
		{"negative unsigned", "name: n\nport: -1\n", `f:2: port: "-1" is out of range`},
		{"text unmarshaler", "name: n\naddr: here\n", `f:2: addr: ParseAddr("here"): unable to parse IP`},
		{"no value", "name: n\nfloors:\n", "f:2: floors: has no value; give it one, or remove the key for the default"},
		{"value for a list", "name: n\ntags: a\n", "f:2: tags: must be a list, as [a, b]"},
		{"list for a value", "name: n\nfloors: [1]\n", "f:2: floors: must be a single value, not a list or further keys"},
		{"value for keys", "name: n\nkitchen: big\n", "f:2: kitchen: must hold further keys, each on a line of its own below it"},
		{"value for the file", "hello\n", "f:1: must hold further keys, each on a line of its own below it"},
		{"key that is a list", "name: n\n[a]: 1\n", "f:2: holds a key that is not plain text"},
		{"alias", "name: &n x\nkitchen: *n\n",
			"f:1: name: anchors are not supported; write the value out where it is needed\n" +
				"f:2: kitchen: aliases are not supported; write the value out"},
		{"tag", "name: !!binary aGk=\n", "f:1: name: tags are not supported; write the plain value"},
		{"merge", "name: n\n<<: {floors: 1}\n", "f:2: <<: unknown key; known here: name, open, floors, small, port, ratio, wait, store, addr, tags, rooms, doors, kitchen"},
		{"second document", "name: n\n---\nname: m\n", "f:2: a second document begins here; put everything into one"},
		{"no yaml", "name: n\n\tfloors: 1\n", "f:2: found a tab character that violates indentation"},
		{"key with a line break", "name: n\n\"a\\nb\": 1\n", `f:2: "a\nb": unknown key; known here: name, open, floors, small, port, ratio, wait, store, addr, tags, rooms, doors, kitchen`},

		{"validate, own line", "name: n\nkitchen:\n  beds: -1\n", "f:3: kitchen.beds: is negative"},
		{"validate, list", "name: n\ndoors:\n  - key: k\n  - {}\n", "f:4: doors[1].key: is missing"},
		{"validate, map", "name: n\nrooms:\n  red: {beds: -1}\n  blue: {beds: -2}\n",
			"f:3: rooms.red.beds: is negative\nf:4: rooms.blue.beds: is negative"},
		{"validate holds back where text was not read", "name: [x]\ndoors:\n  - k\n",
			"f:1: name: must be a single value, not a list or further keys\n" +
				"f:3: doors[0]: must hold further keys, each on a line of its own below it"},
		{"everything at once", "floors: x\nkitchen:\n  beds: -1\n  stove: gas\nwait: 5\n",
			"f: name: is missing\n" +
				"f:1: floors: \"x\" is not a whole number, or too large\n" +
				"f:3: kitchen.beds: is negative\n" +
				"f:4: kitchen.stove: unknown key; known here: beds, heartbeat_interval\n" +
				"f:5: wait: \"5\" has no unit; write 5s for seconds, or ms, m, h"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := config.Decode("f", []byte(tt.text), new(house))
			if err == nil {
				t.Fatal("no error")
			}
			if got := err.Error(); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "65536": 65536, "7B": 7, "64KiB": 64 << 10, "64 kib": 64 << 10, "1MiB": 1 << 20, "2GiB": 2 << 30,
		"1TiB": 1 << 40, "1kB": 1000, "5MB": 5_000_000, "9223372036854775807": math.MaxInt64,
	} {
		h := house{}
		if _, err := config.Decode("f", []byte("name: n\nstore: "+text), &h); err != nil || h.Store != want {
			t.Errorf("%s: got %d, %v; want %d", text, h.Store, err, want)
		}
	}
}

func TestCheck(t *testing.T) {
	if err := config.Check(&house{Name: "n"}); err != nil {
		t.Errorf("a good configuration: %v", err)
	}
	err := config.Check(&house{Rooms: map[string]room{"red": {Beds: -1}}})
	if want := "name: is missing\nrooms.red.beds: is negative"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// FuzzDecode: whatever a file holds, it is read or refused with a report of one
// line per problem, and never panics.
func FuzzDecode(f *testing.F) {
	f.Add([]byte("name: n\nkitchen: {beds: 2, heartbeat_interval: 25s}\nrooms:\n  blue:\n    beds: 1\n"))
	f.Add([]byte("tags: [a, b]\ndoors:\n- key: k\n- {key: k}\nstore: 64KiB\nratio: 1e3\naddr: ::1\n"))
	f.Add([]byte("a: &x [*x]\nb: !!binary x\n? [1]\n: 2\n<<: *x\n---\n...\n"))
	f.Add([]byte("{name: {name: {name: [[[["))
	f.Add([]byte("\xff\xfe\x00n\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, err := config.Decode("fuzz", data, new(house))
		problems, ok := errors.AsType[*config.Problems](err)
		switch {
		case err == nil:
			return
		case !ok || len(problems.List) == 0:
			t.Fatalf("got %#v, want *Problems with at least one", err)
		case strings.Count(err.Error(), "\n")+1 != len(problems.List):
			t.Fatalf("%d problems in this report:\n%s", len(problems.List), err)
		}
	})
}
