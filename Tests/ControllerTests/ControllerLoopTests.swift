import Controller
import ControllerCore
import DataPlane
import Foundation
import Logging
import Server
import Sockets
import Synchronization
import Testing
import Wire

@testable import Controller

@Suite("The controller's loop")
struct ControllerLoopTests {
  @Test("Servers are admitted and the rack serves")
  func serves() throws {
    let servers = try Servers(3)
    let controller = try TestController(servers: servers.endpoints)
    #expect(try eventually { try controller.status().serving })
    let status = try controller.status()
    #expect(status.epoch == 3)
    #expect(status.serversAlive == 3)
    #expect(status.counters == ["hot_read": 5, "drop_malformed": 2])
    let shown = try controller.servers()
    #expect(shown.map(\.number) == [0, 1, 2])
    #expect(shown.map(\.phase) == [.alive, .alive, .alive])
    #expect(shown.map(\.slots).reduce(0, +) == WireLimits.slots)
    #expect(Set(shown.map(\.incarnation)).count == 3)
    #expect(shown.map(\.reads) == [1000, 1004, 1008])
    #expect(shown.map(\.replies) == [1003, 1007, 1011])
    #expect(shown[1].address == servers.endpoints[1]?.description)
    #expect(try controller.events().last == "serving with all servers")
    #expect(controller.error == nil)
  }

  @Test("A key is promoted, retargeted and demoted by command; places wait for grace periods")
  func commands() throws {
    let servers = try Servers(3)
    let controller = try TestController(servers: servers.endpoints) {
      $0.policy.automatic = false
    }
    #expect(try eventually { try controller.status().serving })
    _ = try controller.ask(ControlRequest(.promote, key: "k\n\"1"))
    #expect(try eventually { try controller.keys().first?.mode == .hot })
    let key = try #require(try controller.keys().first)
    #expect(key.key == "k\\x0a\"1")
    #expect(key.keyHex == "6b0a2231")
    #expect(key.keyHash == hexadecimal(KeyHash.of(Array("k\n\"1".utf8), seed: 0)))
    #expect(key.replicas == [key.home])
    #expect(try controller.status().hotKeys == 1)
    #expect(try !controller.status().automatic)
    _ = try controller.ask(ControlRequest(.retarget, keyHex: "6b0a2231"))
    #expect(try eventually { try controller.status().totals.retargets == 1 })
    let graces = controller.plane.graces.withLock { $0 }
    _ = try controller.ask(ControlRequest(.demoteAll))
    #expect(try eventually { try controller.keys().isEmpty })
    #expect(eventually { controller.plane.graces.withLock { $0 } > graces })
    #expect(try eventually { try controller.status().quiet })
    let floors = try controller.status().totals.floors
    _ = try controller.ask(ControlRequest(.floor))
    #expect(try eventually { try controller.status().totals.floors > floors })
    _ = try controller.ask(ControlRequest(.automatic, on: true))
    #expect(try controller.status().automatic)
  }

  @Test("Samples make a key hot; a collision makes it cold and bans it")
  func samples() throws {
    let servers = try Servers(2)
    let controller = try TestController(servers: servers.endpoints)
    #expect(try eventually { try controller.status().serving })
    let key = Array("hot".utf8)
    let hash = KeyHash.of(key, seed: 0)
    let sample = SampleRecord(kind: .request, keyHash: hash, operation: .get, weight: 50, key: key)
    #expect(
      try eventually {
        controller.plane.samples.withLock { $0 += Array(repeating: sample, count: 20) }
        return try controller.keys().first?.mode == .hot
      })
    #expect(try controller.keys().map(\.key) == ["hot"])
    let promotion = try #require(
      try controller.ask(ControlRequest(.promotions)).promotions?.first)
    #expect(promotion.number == 1 && promotion.keyHash == hexadecimal(hash))
    #expect(promotion.askedNs <= promotion.begunNs && promotion.begunNs <= promotion.fencedNs)
    #expect(promotion.fencedNs <= promotion.hotNs)
    #expect(try controller.ask(ControlRequest(.promotions, since: 1)).promotions == [])
    let collision = SampleRecord(
      kind: .collision, keyHash: hash, operation: .get, weight: 1, key: [])
    controller.plane.samples.withLock { $0.append(collision) }
    #expect(try eventually { try controller.status().totals.bans == 1 })
    #expect(try eventually { try controller.keys().isEmpty })
  }

  @Test("Only a server's own address speaks for it")
  func strangers() throws {
    let servers = try Servers(1)
    let own = try UDPSocket(bind: Endpoint(.loopback, port: 0))
    let stranger = try UDPSocket(bind: Endpoint(.loopback, port: 0))
    let real = try #require(servers.endpoints[0])
    let controller = try TestController(servers: [0: real, 1: own.local]) {
      $0.times.start = 1
    }
    #expect(try eventually { try controller.status().serversAlive == 1 })
    var header = Header(.probeAck)
    header.server = 1
    header.incarnation = 77
    // As if it answered a probe of this controller's epoch.
    header.sequence = 3 << 48 | 1_000_000
    let answer = Message(header, value: ProbeBody().encoded()).encoded()
    func send(_ bytes: [UInt8], _ socket: UDPSocket) throws {
      let sent = try bytes.withUnsafeBytes { try socket.send($0, to: controller.controlEndpoint) }
      #expect(sent)
    }
    // A round of the protocol passes between: what was sent before it has been looked at.
    func aRoundLater() throws {
      let floors = try controller.status().totals.floors
      _ = try controller.ask(ControlRequest(.floor))
      #expect(try eventually { try controller.status().totals.floors > floors })
    }
    for _ in 0..<10 { try send(answer, stranger) }
    header.server = 0
    for _ in 0..<10 { try send(Message(header, value: ProbeBody().encoded()).encoded(), own) }
    for length in [0, 1, 135, 136, 500] {
      try send([UInt8](repeating: 0x48, count: length), own)
    }
    try aRoundLater()
    #expect(try controller.servers().map(\.phase) == [.alive, .unknown])
    #expect(try controller.status().totals.serversLost == 0)
    try send(answer, own)
    #expect(try eventually { try controller.servers()[1].phase == .admitting })
    #expect(try controller.servers()[1].incarnation == "000000000000004d")
    #expect(controller.error == nil)
  }

  @Test("When it is told to stop the control socket is gone")
  func stops() throws {
    let controller = try TestController(servers: [0: Endpoint(.loopback, port: 1)])
    #expect(try !controller.status().serving)
    controller.end()
    #expect(controller.error == nil)
    #expect(access(controller.socket, F_OK) != 0)
  }
}
