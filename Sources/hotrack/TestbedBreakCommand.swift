import ArgumentParser
import Configuration
import Foundation
import Testbed

/// `hotrack testbed break`.
struct TestbedBreakCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "break",
    abstract: "Break a testbed's links and processes, and heal them.",
    discussion: """
      Targets are server-0, server-1 ..., client-0 ..., controller and directory (its host); for \
      links also servers, clients, and nodes, which is both. corrupt (a server is killed and its data \
      damaged) needs engine = "rocksdb" in the testbed's file, full-disk also disk_mb. A fault lasts until --for has passed or \
      Ctrl-C is pressed; without --for until `break NAME heal` or `hotrack testbed down`. `hotrack \
      testbed status` shows what is broken.

        hotrack testbed break small link server-2 --loss 0.05 --delay-ms 2 --jitter-ms 1 --for 10
        hotrack testbed break small partition server-2 --to
        hotrack testbed break small kill server-2
        hotrack testbed break small heal

      Exit codes: 0 done, 1 not possible.
      """)

  @Argument(help: "The testbed's name or file.")
  var nameOrFile: String

  @Argument(
    help: "link, partition, kill, pause, resume, restart, slow, reboot, corrupt, full-disk or heal."
  )
  var what: String

  @Argument(help: "Who breaks. Not with heal.")
  var target: String?

  @Option(
    name: .customLong("for"),
    help: ArgumentHelp("How long, as in 10, 10s or 500ms; then it is healed.", valueName: "time"),
    transform: seconds)
  var duration: Double?

  @Flag(help: "Only what comes to the target (link, partition).")
  var to = false

  @Flag(help: "Only what the target sends (link, partition).")
  var from = false

  @OptionGroup(title: "What happens to frames (link)")
  var link: LinkOptions

  @Option(help: "The share of time that a slow process runs, 0.001 to 0.999.")
  var share: Double?

  @Flag(help: "Print one JSON object.")
  var json = false

  struct LinkOptions: ParsableArguments {
    @Option(help: "The share of frames that is lost, 0 to 1.")
    var loss = 0.0

    @Option(help: "The share of frames that arrives twice, 0 to 1.")
    var duplicate = 0.0

    @Option(help: "Milliseconds by which each frame is late.")
    var delayMs = 0.0

    @Option(help: "Milliseconds by which it is later still, at most: each by another part of it.")
    var jitterMs = 0.0

    @Option(help: "The share of frames that is not late, and so overtakes others.")
    var reorder = 0.0

    var isUsed: Bool { [loss, duplicate, delayMs, jitterMs, reorder] != [0, 0, 0, 0, 0] }
  }

  private enum Action {
    case begin(Fault)
    /// The end of a pause.
    case resume(Fault.Target)
    case heal
  }

  func validate() throws { _ = try action() }

  private func action() throws -> Action {
    guard !(to && from) else {
      throw ValidationError("--to and --from: one of them; without either, both directions")
    }
    let isAboutLink = what == "link" || what == "partition"
    guard isAboutLink || !(to || from) else {
      throw ValidationError("--to and --from: only with link and partition")
    }
    guard what == "link" || !link.isUsed else {
      throw ValidationError(
        "--loss, --duplicate, --delay-ms, --jitter-ms and --reorder: only with link")
    }
    guard what == "slow" || share == nil else { throw ValidationError("--share: only with slow") }
    if what == "heal" {
      guard target == nil, duration == nil else {
        throw ValidationError("heal takes neither a target nor --for: it heals everything")
      }
      return .heal
    }
    guard let target else { throw ValidationError("\(what) needs a target, such as server-2") }
    guard let target = Fault.Target(target) else {
      throw ValidationError(
        "there is no target \(target): it is server-N, client-N, servers, clients, nodes, "
          + "controller or directory")
    }
    if what == "resume" {
      guard duration == nil else { throw ValidationError("--for: not with resume") }
      return .resume(target)
    }
    return .begin(Fault(try kind(), of: target, duration: duration))
  }

  private func kind() throws -> Fault.Kind {
    let direction: LinkFault.Direction = to ? .to : from ? .from : .both
    switch what {
    case "link":
      var fault = LinkFault()
      fault.direction = direction
      (fault.loss, fault.duplicate, fault.reorder) = (link.loss, link.duplicate, link.reorder)
      (fault.delay, fault.jitter) = (link.delayMs, link.jitterMs)
      if let problem = fault.problem { throw ValidationError(problem) }
      return .link(fault)
    case "partition": return .link(LinkFault(cut: direction))
    case "kill": return .kill
    case "pause": return .pause
    case "reboot": return .reboot
    case "corrupt": return .corrupt
    case "full-disk": return .fullDisk
    case "restart":
      guard duration == nil else { throw ValidationError("--for: not with restart") }
      return .restart
    case "slow":
      guard let share, (0.001...0.999).contains(share) else {
        throw ValidationError("slow needs --share, 0.001 to 0.999 of the time")
      }
      // Somebody has to stop and continue the process all the time.
      guard duration != nil else { throw ValidationError("slow needs --for") }
      return .slow(share: share)
    default:
      throw ValidationError(
        "there is no fault \(what): it is link, partition, kill, pause, resume, restart, slow, "
          + "reboot, corrupt, full-disk or heal")
    }
  }

  func run() throws {
    try reportingFailure("testbed break") {
      var bed = try Testbed.existing(try existingName(nameOrFile))
      switch try action() {
      case .heal: try report("healed", bed.heal())
      case .resume(let target): try bed.resume(target)
      case .begin(let fault): try apply(fault, to: &bed)
      }
    }
  }

  private func apply(_ fault: Fault, to bed: inout Testbed) throws {
    let interruption = Interruption()
    defer { interruption.cancel() }
    let running = try bed.begin(fault)
    guard let duration = fault.duration else {
      try report("broken", bed.broken())
      return
    }
    let line = ProgressLine()
    line.show("\(fault), for \(duration) s")
    let limit = ContinuousClock.now + .seconds(duration)
    while ContinuousClock.now < limit, !interruption.isRequested { usleep(5_000) }
    line.clear()
    try bed.end(running)
    try report("broken", bed.broken())
  }

  private func report(_ what: String, _ list: [Testbed.Broken]) throws {
    if json {
      try printJSON([what: list])
    } else if list.isEmpty {
      print("nothing is broken")
    } else {
      for broken in list { print("\(what): \(broken.target): \(broken.fault)") }
    }
  }
}

/// A time as it is typed: `10`, `10s`, `500ms`.
private func seconds(_ text: String) throws -> Double {
  let (digits, unit) =
    text.hasSuffix("ms")
    ? (text.dropLast(2), 1e-3) : text.hasSuffix("s") ? (text.dropLast(), 1) : (text[...], 1)
  guard let number = Double(digits), number > 0, number * unit <= 86_400 else {
    throw ValidationError("\"\(text)\" is not a time such as 10s or 500ms, up to a day")
  }
  return number * unit
}

/// `hotrack testbed relay`: a process of the testbed itself.
struct TestbedRelayCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "relay",
    abstract: "Delay the frames of a broken link (started by `hotrack testbed`).",
    shouldDisplay: false)

  @Option(help: "The name of the interface to make, in this namespace.")
  var interface: String

  @Option(help: "The link's end in this namespace, whose programs are there.")
  var link: String

  @Option(help: "Its MAC address: frames to it are for this node.")
  var mac: String

  @Option(help: "Of the delays.")
  var seed: UInt64 = 1

  func run() throws {
    try reportingFailure("testbed relay") {
      var relay = try LinkRelay(interface: interface, link: link, mac: mac, seed: seed)
      try relay.run()
    }
  }
}
