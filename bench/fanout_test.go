package bench

import "testing"

// TestStreams: publishers and subscribers agree on who sends what to whom, for
// more groups than publishers and the other way round.
func TestStreams(t *testing.T) {
	for _, tt := range []struct{ subscribers, groups, publishers int }{
		{1, 1, 1}, {10, 1, 3}, {10, 3, 1}, {10, 3, 2}, {12, 4, 4}, {11, 3, 7}, {11, 3, 9},
	} {
		run := &fanoutRun{
			Fanout: &Fanout{Subscribers: tt.subscribers, Groups: tt.groups, Publishers: tt.publishers, UnderWay: 1, Size: 100},
			rig:    &Rig{Common: &Common{}},
		}
		served := make([]bool, tt.groups)
		for p := range tt.publishers {
			pub := newPublisher(run, p)
			for _, s := range pub.streams {
				served[s.group] = true
				if pub.streamOf(s.group) != s {
					t.Errorf("%+v: publisher %d does not find its stream to group %d", tt, p, s.group)
				}
				if from := newSubscriber(run, nil, s.group).streamFrom(p); from < 0 || from >= len(newSubscriber(run, nil, s.group).streams) {
					t.Errorf("%+v: a subscriber of group %d does not expect publisher %d: %d", tt, s.group, p, from)
				}
			}
			for g := range tt.groups {
				mine := false
				for _, s := range pub.streams {
					mine = mine || s.group == g
				}
				if from := newSubscriber(run, nil, g).streamFrom(p); !mine && from >= 0 {
					t.Errorf("%+v: group %d expects publisher %d, which does not publish there", tt, g, p)
				}
			}
		}
		members := 0
		for g := range tt.groups {
			members += run.members(g)
			if !served[g] {
				t.Errorf("%+v: nobody publishes to group %d", tt, g)
			}
		}
		if members != tt.subscribers {
			t.Errorf("%+v: the groups have %d members", tt, members)
		}
	}
}
