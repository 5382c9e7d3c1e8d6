import ArgumentParser
import Configuration
import Controller
import ControllerCore
import DataPlane
import Directory
import Foundation
import Logging
import Sockets

/// `hotrack controller`: the process that owns a rack's directory.
struct ControllerCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "controller",
    abstract: "Run a rack's controller: load and attach the data plane, choose hot keys.",
    discussion: """
      Runs in the network namespace of the directory host until SIGTERM or SIGINT. Prints one line \
      when the rack takes requests; its log goes to standard error. Ask it with `hotrack status`, \
      `hotrack keys` and `hotrack servers`.

      The data plane (program, directory, links to the interfaces) is kept in \
      /sys/fs/bpf/hotrack/RACK and goes on without a controller, whatever has ended it. The next \
      controller of the rack goes on with it, of the same version or of another one, without losing \
      a packet. `hotrack detach RACK` takes it away. SIGHUP, or `hotrack reload`, has the controller \
      read its rack file again.

      Needs root, or the capabilities CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON.

      Exit codes: 0 stopped by a signal, 1 it cannot run, 64 wrong usage.
      """)

  @OptionGroup var arguments: ControllerArguments

  func run() throws { try arguments.run(command: "controller") }
}

extension ControllerOptions {
  /// What a rack file says.
  init(_ file: RackFile) {
    self.init(
      name: file.name, rack: Endpoint(file.address, port: file.port),
      controlPort: file.controlPort, hashSeed: file.hashSeed, interfaces: file.interfaces,
      stateFile: file.stateFile, socket: file.socket,
      servers: file.servers.map { server in
        Server(
          number: UInt8(server.number), endpoint: Endpoint(server.address, port: server.port),
          interface: server.interface, mac: server.mac?.bytes, isDrained: server.isDrained)
      })
    copies = file.copies
    if file.limits.requestsPerSecond > 0 {
      limit = RequestLimit(
        requestsPerSecond: file.limits.requestsPerSecond, burst: file.limits.burst)
    }
    isOneArm = file.mode == .oneArm
    plane =
      switch file.plane {
      case .auto: nil
      case .xdp: .xdp
      case .tc: .tc
      }
    if let buckets = file.buckets { self.buckets = buckets }
    if let window = file.window { self.window = UInt32(window) }
    settings = file.settings.map { RackSetting(path: $0.path, value: $0.value) }
    policy.apply(file.policy)
    times.apply(file.policy)
  }
}

extension PolicyConfiguration {
  /// What is set takes the place of what is usual.
  fileprivate mutating func apply(_ settings: PolicySettings) {
    set(&automatic, settings.promotion)
    set(&hotKeysMax, settings.hotKeysMax)
    set(&copiesMax, settings.copiesMax)
    set(&readChoice, settings.choice.map { $0 == .load ? .load : .roundRobin })
    set(&promoteShare, settings.promoteShare)
    set(&demoteShare, settings.demoteShare)
    set(&urgentShare, settings.urgentShare)
    set(&minimumRate, settings.minimumRate)
    set(&minimumStay, nanoseconds(settings.minimumStayMilliseconds))
    set(&interval, nanoseconds(settings.intervalMilliseconds))
    set(&movesPerSecond, settings.movesPerSecond)
    set(&movesBurst, settings.movesBurst)
    set(&rebalances, settings.rebalance)
    set(&movedKeysPerSecond, settings.movedKeysPerSecond)
    set(&slow.isOn, settings.slowProbeMilliseconds.map { $0 > 0 })
    set(&slow.roundTrip, nanoseconds(settings.slowProbeMilliseconds))
    set(&slow.load, settings.slowLoad)
    set(&slow.after, nanoseconds(settings.slowAfterMilliseconds))
    set(&slow.recovery, nanoseconds(settings.slowRecoveryMilliseconds))
    set(&samplesPerSecond, settings.samplesPerSecond)
    set(&watchedKeys, settings.watchedKeys)
  }
}

extension ControllerTimes {
  fileprivate mutating func apply(_ settings: PolicySettings) {
    set(&probe, nanoseconds(settings.probeMilliseconds))
    set(&serverTimeout, nanoseconds(settings.serverTimeoutMilliseconds))
    set(&serverReturn, nanoseconds(settings.returnTimeoutMilliseconds))
    set(&start, nanoseconds(settings.startTimeoutMilliseconds))
    set(&transition, nanoseconds(settings.transitionTimeoutMilliseconds))
    set(&floor, nanoseconds(settings.floorIntervalMilliseconds))
  }
}

private func set<Value>(_ usual: inout Value, _ value: Value?) {
  if let value { usual = value }
}

private func nanoseconds(_ milliseconds: Int?) -> UInt64? {
  milliseconds.map { UInt64($0) * 1_000_000 }
}
