// Package conformance holds the cases of the Autobahn test suite for WebSocket
// servers, all 517 of them, written anew as Go tests that run against the real
// binary. A subtest has the number of its case, so
//
//	go test ./internal/e2e/conformance -run '/6\.4\.3$'
//
// runs case 6.4.3. Chapters 12 and 13 are one level deeper: -run
// 'Compression//12\.1\.1$'. With -v the last line counts the cases.
//
// The client has its own framing, masking and compression, on the standard
// library alone, so that it shares no bug with the server.
//
// It is stricter than the suite. What the suite calls non-strict or
// informational fails here: every echo must come, in order and byte for byte;
// a broken connection must get a close frame with the right code and then the
// server's end of file, never a reset; text must fail at the first bad byte.
// The suite waits a second to see that nothing happens; here nothing waits.
// That a server stays silent shows in what it says next.
//
// What differs from the suite:
//
//   - 12.x and 13.x use generated data of the same kinds and sizes in place of
//     the suite's files, and run twice: against a server without context
//     takeover and against one with it. The suite sends 1,000 messages per
//     case, 11 GB in all; here a case ends after 1,000 messages or a byte
//     budget, whichever is first. SLUICE_CONFORMANCE=full lifts the budget (give
//     -timeout 1h); it is smaller under -race and with -short.
//   - 13.3, 13.5 and 13.7 ask for a server window of 9 bits. Early versions of
//     the suite asked for 8, which zlib cannot make; 8 is among the offers of
//     TestOffers.
//   - 3.6 sends a ping, as the suite's own description says; its code sends a
//     binary frame.
//   - 7.7.x accept only the code that was sent as the answer, where the suite
//     takes 1000 as well.
//   - 7.9.x: 1012, 1013 and 1014 were unassigned when the suite was written and
//     are registered today. A server must take them; TestRegisteredCodes does
//     that. Case 7.9.6 sends 1016, which is still unassigned.
//   - 7.13.1 and 7.13.2 are undefined by the RFC and informational in the
//     suite. Sluice answers 5000 and 65535 with 1002, like every code that may
//     not be on the wire.
//   - 9.9 and 9.10, messages without a limit, are switched off in the suite
//     itself.
//
// Tests with other names than numbers cover what the suite leaves out: more
// offers, declined offers, the examples of RFC 7692, and compressed messages
// that are corrupt, too big or not UTF-8.
package conformance
