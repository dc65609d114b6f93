package conformance_test

import "testing"

// testCase is one case: steps of frames sent and answers read, and how the
// connection ends.
type testCase struct {
	id    string
	chop  int // how what is sent is cut into writes
	steps script
	times int // how often the steps are taken; 0 means once

	// closes is the code with which the server must close, because of what was
	// sent. 0 means that nothing was wrong: the client closes with 1000.
	closes uint16
}

// script is what is sent and received, step by step: send(a).gets(b).then(c).
type script []step

// step is something sent, and what must come back before the next step.
type step struct {
	send []frame
	want []message
}

func send(frames ...frame) script { return script{{send: frames}} }

func (s script) then(frames ...frame) script { return append(s, step{send: frames}) }

// gets says what comes back for the last step; nothing does if it is not called.
func (s script) gets(want ...message) script {
	s[len(s)-1].want = want
	return s
}

// echoes says that each frame of the last step comes back by itself.
func (s script) echoes() script {
	var want []message
	for _, f := range s[len(s)-1].send {
		want = append(want, f.echo())
	}
	return s.gets(want...)
}

func runCases(t *testing.T, n *node, cases []testCase) {
	for _, tc := range cases {
		t.Run(tc.id, func(t *testing.T) {
			t.Parallel()
			results.count(t)
			c, _ := dial(t, n)
			tc.run(c)
		})
	}
}

func (tc *testCase) run(c *client) {
	c.t.Helper()
	for range max(tc.times, 1) {
		for _, s := range tc.steps {
			c.send(tc.chop, s.send...)
			for _, want := range s.want {
				c.expect(want)
			}
		}
	}
	if tc.closes != 0 {
		c.expectClose(tc.closes)
		return
	}
	c.close()
}

// close ends a connection on which all is well.
func (c *client) close() {
	c.t.Helper()
	c.send(together, closing(1000, ""))
	c.expectClose(1000)
}
