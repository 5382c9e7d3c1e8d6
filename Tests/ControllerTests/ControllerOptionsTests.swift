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

  @Test("A MAC address comes from the kernel's table of neighbours, if it is complete")
  func neighbours() throws {
    let table = NeighbourTable(
      text: """
        IP address       HW type     Flags       HW address            Mask     Device
        10.0.0.2         0x1         0x2         02:00:00:0a:00:ff     *        rack-s0
        10.0.0.3         0x1         0x0         00:00:00:00:00:00     *        rack-s1
        10.0.0.22        0x1         0x6         02:00:00:00:00:22     *        rack-s0
        """)
    func mac(_ address: String, _ interface: String) throws -> [UInt8]? {
      table.mac(of: try #require(IPv4Address(address)), behind: interface)
    }
    #expect(try mac("10.0.0.2", "rack-s0") == [2, 0, 0, 0x0a, 0, 0xff])
    #expect(try mac("10.0.0.22", "rack-s0") == [2, 0, 0, 0, 0, 0x22])
    #expect(try mac("10.0.0.2", "rack-s1") == nil)
    #expect(try mac("10.0.0.3", "rack-s1") == nil)
    #expect(try mac("10.0.0.4", "rack-s0") == nil)
    let unknown = ControllerError.unknownMAC(server: 4, address: "10.0.0.4", interface: "rack-s0")
    #expect(unknown.description.contains("ping -c 1 -I rack-s0 10.0.0.4"))
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
