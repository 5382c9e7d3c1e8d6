import Controller
import Sockets
import Testing

@testable import Controller

@Suite("What a controller is told")
struct ControllerOptionsTests {
  private func options(_ change: (inout ControllerOptions) -> Void) -> ControllerOptions {
    var options = ControllerOptions(
      name: "test", rack: Endpoint(.loopback, port: 18516), interfaces: ["a", "b"],
      stateFile: "/s", socket: "/c",
      servers: [
        .init(number: 0, endpoint: Endpoint(.loopback, port: 1), interface: "a"),
        .init(number: 31, endpoint: Endpoint(.loopback, port: 2), interface: "b"),
      ])
    change(&options)
    return options
  }

  @Test("Good options pass")
  func good() throws {
    try options { _ in }.check()
  }

  @Test("What contradicts itself is refused before anything is touched")
  func contradictions() {
    let changes: [(inout ControllerOptions) -> Void] = [
      { $0.servers = [] }, { $0.interfaces = [] }, { $0.servers[1].number = 32 },
      { $0.servers[1].number = 0 }, { $0.servers[1].endpoint.port = 1 },
      { $0.servers[1].interface = "c" }, { $0.servers[1].mac = [1] },
      { $0.controlPort = 18516 }, { $0.window = 15 }, { $0.buckets = 3 }, { $0.buckets = 0 },
    ]
    for change in changes {
      #expect(throws: ControllerError.self) { try options(change).check() }
    }
  }

  @Test("An interface that does not exist is named")
  func interfaces() {
    let options = options { $0.servers[0].interface = "ht-no-such" }
    #expect(throws: ControllerError.noSuchInterface("ht-no-such")) { try options.serverPlaces() }
  }

  @Test("Rates are those of the last second")
  func rates() {
    var window = RateWindow()
    #expect(window.rate(1) == 0)
    for step in 0...8 {
      window.add([7, UInt64(step * 100)], at: UInt64(step) * RateWindow.interval)
    }
    #expect(window.rate(0) == 0)
    #expect(window.rate(1) == 400)
    #expect(window.nextSample == 9 * RateWindow.interval)
  }
}
