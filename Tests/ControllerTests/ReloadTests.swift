import ControllerCore
import Foundation
import Logging
import Server
import Sockets
import Synchronization
import Testing
import Wire

@testable import Controller

@Suite("Reloading")
struct ReloadTests {
  /// What a rack file would say, changed between reloads.
  private final class File: Sendable {
    let options = Mutex<Result<ControllerOptions, ReloadRefusal>?>(nil)

    func read() throws(ReloadRefusal) -> ControllerOptions {
      guard let result = options.withLock({ $0 }) else {
        throw ReloadRefusal([.init(text: "no file")])
      }
      return try result.get()
    }

    func change(_ change: (inout ControllerOptions) -> Void) {
      options.withLock {
        guard case .success(var options)? = $0 else { return }
        change(&options)
        $0 = .success(options)
      }
    }
  }

  private func controller(
    _ servers: [UInt8: Endpoint], _ file: File, signal: WakeUp? = nil
  ) throws -> TestController {
    let controller = try TestController(
      servers: servers,
      change: { options in
        options.settings = [
          .init(path: "rack.port", value: "9"), .init(path: "policy.copies_max", value: "31"),
          .init(path: "server 0.address", value: "\"127.0.0.1\""),
        ]
      }, reload: signal, readOptions: { () throws(ReloadRefusal) in try file.read() })
    file.options.withLock { $0 = .success(controller.options) }
    #expect(try eventually { try controller.status().serving })
    return controller
  }

  private func reload(_ controller: TestController) throws -> ControlAnswer {
    try ControlClient(socket: controller.socket).exchange(ControlRequest(.reload))
  }

  @Test("Nothing has changed")
  func unchanged() throws {
    let servers = try Servers(2)
    let file = File()
    let controller = try controller(servers.endpoints, file)
    let answer = try reload(controller)
    #expect(answer.ok && answer.reload == ControlReload(changes: [], problems: []))
    #expect(try controller.events().last == "reloaded: nothing has changed")
  }

  @Test("Servers and policy change; the interfaces follow")
  func changes() throws {
    let servers = try Servers(3)
    let file = File()
    var two = servers.endpoints
    let removed = two.removeValue(forKey: 2)
    let third = try #require(removed)
    let controller = try controller(two, file)
    file.change { options in
      options.policy.copiesMax = 2
      options.settings[1].value = "2"
      options.settings.append(.init(path: "directory.interfaces", value: "[\"lo\", \"lo2\"]"))
      options.interfaces = ["lo", "lo2"]
      options.servers.append(
        .init(number: 2, endpoint: third, interface: "lo", mac: [0, 0, 0, 0, 0, 0]))
    }
    let answer = try reload(controller)
    #expect(answer.ok)
    #expect(
      answer.reload?.changes.map(\.line) == [
        "policy.copies_max: 31 → 2",
        "directory.interfaces: not set → [\"lo\", \"lo2\"]",
        "server 2: added, at \(third)",
      ])
    #expect(controller.plane.attached.withLock { $0 } == ["lo2"])
    #expect(try eventually { try controller.status().serversAlive == 3 })
    #expect(try controller.servers().last?.address == third.description)
    // And back: first drained, then removed.
    file.change { $0.servers[2].isDrained = true }
    #expect(
      try reload(controller).reload?.changes.map(\.line) == ["server 2.drained: false → true"])
    #expect(try eventually { try controller.servers().last?.phase == .drained })
    file.change {
      $0.servers.removeLast()
      $0.interfaces = ["lo"]
    }
    #expect(try eventually { try reload(controller).ok })
    #expect(try controller.servers().map(\.number) == [0, 1])
    #expect(controller.plane.attached.withLock { $0 } == [])
  }

  @Test("What cannot change is refused, and nothing is half applied")
  func refusals() throws {
    let servers = try Servers(2)
    let file = File()
    let controller = try controller(servers.endpoints, file)
    file.change { options in
      options.settings[0].value = "10"
      options.settings[1].value = "1"
      options.interfaces.append("lo2")
      options.servers.remove(at: 1)
    }
    let answer = try reload(controller)
    #expect(!answer.ok)
    let problems = answer.reload?.problems ?? []
    #expect(problems.map(\.path) == ["rack.port", "server 1"])
    #expect(problems.first?.text.contains("`hotrack detach test`") == true)
    #expect(problems.last?.text.contains("`hotrack servers drain 1`") == true)
    #expect(answer.error?.hasPrefix("nothing was changed: rack.port: ") == true)
    #expect(try controller.servers().map(\.number) == [0, 1])
    #expect(controller.plane.attached.withLock { $0 } == [])
    // An interface that cannot be had undoes those that could.
    let old = controller.options
    file.options.withLock { $0 = .success(old) }
    file.change { $0.interfaces += ["lo2", "none"] }
    #expect(try reload(controller).reload?.problems.map(\.path) == ["directory.interfaces"])
    #expect(controller.plane.attached.withLock { $0 } == [])
    // A file that is wrong.
    file.options.withLock { $0 = .failure(ReloadRefusal([.init(text: "rack.toml: wrong")])) }
    #expect(try reload(controller).reload?.problems.map(\.line) == ["rack.toml: wrong"])
    #expect(try controller.events().last == "not reloaded: rack.toml: wrong")
    #expect(try controller.status().serversAlive == 2)
  }

  @Test("A new key takes a new controller, and is not shown")
  func anotherKey() throws {
    let servers = try Servers(2)
    let file = File()
    let controller = try controller(servers.endpoints, file)
    file.change { $0.keys = RackKeys(Array(repeating: 77, count: 16)) }
    let answer = try reload(controller)
    #expect(!answer.ok && answer.reload?.problems.map(\.path) == ["rack.rack_key_file"])
    #expect(answer.error?.contains("restart it") == true && answer.error?.contains("77") == false)
  }

  @Test("A signal does the same")
  func signal() throws {
    let servers = try Servers(1)
    let file = File()
    let signal = try WakeUp()
    let controller = try controller(servers.endpoints, file, signal: signal)
    signal.signal()
    #expect(try eventually { try controller.events().last == "reloaded: nothing has changed" })
  }

  @Test("SIGHUP is such a signal")
  func hangUp() throws {
    let signal = try ReloadSignal()
    kill(getpid(), SIGHUP)
    let poll = try EventPoll()
    try poll.add(signal.reload.descriptor, token: 1)
    #expect(try poll.wait(until: MonotonicClock.now + 20_000_000_000) { _, _ in } == 1)
  }
}
