// Package protocol answers Docker's volume protocol and the operator's calls, on one unix socket.
//
// The socket answers before the driver is ready: [Listen], then [New] and [Server.Serve], then [Server.Provide]. Calls that
// come earlier wait for the driver within their own deadline.
//
// Three properties of the engine's client decide how calls are answered (FACTS 1; moby pkg/plugins/client.go and
// volume/service/store.go):
//
//   - It repeats a call whose connection broke, with the body lost. A call that needs a body and has none, or less than it
//     announced, is never answered: the connection is closed.
//   - Any error from Get means "no such volume" and makes it forget one that is in use. So Get answers an error only when
//     the driver says that there is no such volume; for everything else the connection is closed, which the engine takes as
//     "unknown for now".
//   - HTTP 200 with {"Err": text} reaches the user as "create NAME: text"; any other status puts "VolumeDriver.Create: "
//     before the text. So errors are answered with 200.
//
// A call goes on when its client hangs up, because the engine sends no Unmount after a Mount that it gave up on: the
// deadline, not the connection, ends it; and a Mount that succeeds after its client hung up is undone, because the engine
// counts it as failed. A panic becomes an error and a stack in the log.
//
// The operator's calls have paths /Homelab.<Name> and the same form; [Client] makes them.
package protocol
