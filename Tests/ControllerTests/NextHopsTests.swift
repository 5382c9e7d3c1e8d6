import HostNetwork
import Testing

@testable import Controller

@Suite("Next hops of servers")
struct NextHopsTests {
  private let direct = NextHops.Hop(interface: 2, address: [10, 0, 0, 1])
  private let router = NextHops.Hop(interface: 3, address: [10, 0, 1, 254])

  /// Server 0 is on the network; 1 and 2 are behind a router.
  private func hops() -> NextHops {
    var hops = NextHops()
    hops.set([0: direct, 1: router, 2: router])
    return hops
  }

  private func neighbour(
    _ hop: NextHops.Hop, _ last: UInt8?, _ state: Neighbour.State = .reachable
  ) -> Neighbour {
    Neighbour(
      interface: hop.interface, address: hop.address, mac: last.map { [2, 0, 0, 0, 0, $0] },
      state: state)
  }

  @Test func macsAreThoseOfTheNextHop() {
    var hops = hops()
    #expect(hops.servers == [0, 1, 2] && hops.mac(of: 0) == nil)
    #expect(hops.take(neighbour(router, 7)) == [1, 2])
    #expect(hops.take(neighbour(direct, 8, .stale)) == [0])
    #expect(hops.mac(of: 0) == [2, 0, 0, 0, 0, 8] && hops.mac(of: 2) == [2, 0, 0, 0, 0, 7])
    // Only what is new is told.
    #expect(hops.take(neighbour(direct, 8)) == [])
    #expect(hops.take(neighbour(direct, 9)) == [0])
    // The same address behind another interface is somebody else.
    #expect(hops.take(neighbour(.init(interface: 9, address: [10, 0, 0, 1]), 5)) == [])
  }

  @Test func whatTheKernelDoubtsGoesOnHolding() {
    var hops = hops()
    _ = hops.take(neighbour(direct, 8))
    for state in [Neighbour.State.failed, .incomplete, .none] {
      #expect(hops.take(neighbour(direct, nil, state)) == [])
      #expect(hops.take(neighbour(direct, 3, state)) == [])
      #expect(hops.mac(of: 0) == [2, 0, 0, 0, 0, 8])
    }
    #expect(hops.take(all: []) == [] && hops.mac(of: 0) == [2, 0, 0, 0, 0, 8])
    #expect(hops.take(all: [neighbour(router, 1), neighbour(direct, 2)]) == [0, 1, 2])
    // Behind another neighbour it is to be learnt anew.
    hops.set([0: router])
    #expect(hops.mac(of: 0) == nil && hops.servers == [0])
    #expect(hops.take(neighbour(router, 1)) == [0])
  }

  @Test func theKernelIsAskedForWhatItDoesNotKnow() {
    var hops = hops()
    #expect(hops.unsure == [direct, router])
    _ = hops.take(neighbour(direct, 8, .stale))
    _ = hops.take(neighbour(router, 7))
    #expect(hops.unsure == [direct])
    _ = hops.take(neighbour(direct, 8, .probe))
    _ = hops.take(neighbour(router, nil, .failed))
    #expect(hops.unsure == [router])
  }

  @Test func aNeighbourIsSuspectIfNobodyBehindItAnswers() {
    var hops = hops()
    _ = hops.take(neighbour(direct, 8))
    _ = hops.take(neighbour(router, 7))
    #expect(hops.suspects(silent: []) == [])
    #expect(hops.suspects(silent: [0, 1]) == [direct])
    #expect(hops.suspects(silent: [1, 2]) == [router])
    _ = hops.take(neighbour(direct, 8, .permanent))
    _ = hops.take(neighbour(router, nil, .incomplete))
    #expect(hops.suspects(silent: [0, 1, 2]) == [], "nothing to doubt")
  }
}
