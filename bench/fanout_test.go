package bench

import (
	"slices"
	"testing"
)

// TestStreams: publishers and subscribers agree on who sends what to whom, for
// more groups than publishers and the other way round, and for subscribers of
// several groups.
func TestStreams(t *testing.T) {
	for _, tt := range []struct{ subscribers, groups, each, publishers int }{
		{1, 1, 1, 1}, {10, 1, 1, 3}, {10, 3, 1, 1}, {10, 3, 1, 2}, {12, 4, 1, 4}, {11, 3, 1, 7}, {11, 3, 1, 9},
		{10, 3, 2, 1}, {10, 7, 7, 2}, {5, 10, 3, 4}, {11, 3, 2, 7},
	} {
		run := &fanoutRun{
			Fanout: &Fanout{Subscribers: tt.subscribers, Groups: tt.groups, Each: tt.each, Publishers: tt.publishers, UnderWay: 1, Size: 100},
			rig:    &Rig{Common: &Common{}},
		}
		var serves [][2]int // publisher and group
		for p := range tt.publishers {
			pub := newPublisher(run, p)
			for _, s := range pub.streams {
				serves = append(serves, [2]int{p, s.group})
				if pub.streamOf(s.group) != s {
					t.Errorf("%+v: publisher %d does not find its stream to group %d", tt, p, s.group)
				}
			}
		}
		members := make([]int, tt.groups)
		for i := range tt.subscribers {
			s := newSubscriber(run, nil, i)
			in := groupsOf(i, tt.each, tt.groups)
			used := make([]bool, len(s.streams))
			for g := range tt.groups {
				member := slices.Contains(in, groupName(g))
				if member {
					members[g]++
				}
				for p := range tt.publishers {
					want := member && slices.Contains(serves, [2]int{p, g})
					from := s.streamFrom(p, g)
					if (from >= 0) != want {
						t.Fatalf("%+v: subscriber %d, publisher %d, group %d: stream %d, expected: %v", tt, i, p, g, from, want)
					}
					if from >= 0 && used[from] {
						t.Fatalf("%+v: subscriber %d: two streams in one place", tt, i)
					}
					if from >= 0 {
						used[from] = true
					}
				}
			}
			if s.streamFrom(0, tt.groups) >= 0 || s.streamFrom(tt.publishers, s.first) >= 0 {
				t.Errorf("%+v: a stream of nobody", tt)
			}
		}
		for g, n := range members {
			if n != run.members(g) {
				t.Errorf("%+v: group %d has %d members, counted as %d", tt, g, n, run.members(g))
			}
			if !slices.ContainsFunc(serves, func(s [2]int) bool { return s[1] == g }) {
				t.Errorf("%+v: nobody publishes to group %d", tt, g)
			}
		}
	}
}
