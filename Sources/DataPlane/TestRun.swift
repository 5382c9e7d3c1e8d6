internal import CBPF
internal import CHotrack
internal import Glibc

/// What the program did with a frame.
public enum FrameAction: UInt32, Sendable {
  case aborted = 0
  case drop = 1
  /// To the kernel.
  case pass = 2
  /// Back out of the interface that it came in by.
  case transmit = 3
  /// Out of another interface.
  case redirect = 4
}

extension DataPlane {
  /// Runs the program on one frame as if it had come in by the interface of that index, which must
  /// be up and attached; nothing is sent. The directory changes as with a real packet. Returns
  /// what is to become of the frame, and the frame as the program left it.
  ///
  /// `linear`: how many bytes of the frame lie in its first buffer; nil: as many as fit.
  public func run(
    frame: [UInt8], ingress interface: UInt32, linear: Int? = nil
  ) throws(DataPlaneError) -> (action: FrameAction, frame: [UInt8]) {
    switch kind {
    case .xdp: try loaded.run(frame: frame, ingress: interface, linear: linear)
    case .tc: try loaded.runOnTC(frame: frame, ingress: interface)
    }
  }
}

extension LoadedProgram {
  /// As `DataPlane.run`. An ingress of 0 is the loopback interface.
  func run(
    frame: [UInt8], ingress interface: UInt32, linear: Int? = nil
  ) throws(DataPlaneError) -> (action: FrameAction, frame: [UInt8]) {
    try Self.run(program, frame: frame, ingress: interface, linear: linear)
  }

  /// As `DataPlane.run`, of the program of this descriptor.
  static func run(
    _ program: Int32, frame: [UInt8], ingress interface: UInt32, linear: Int? = nil
  ) throws(DataPlaneError) -> (action: FrameAction, frame: [UInt8]) {
    var context = xdp_md()
    context.data_end = UInt32(linear ?? frame.count)
    context.ingress_ifindex = interface
    let (value, output) = try run(program, frame: frame, context: &context)
    return (FrameAction(rawValue: value) ?? .aborted, output)
  }

  /// As `run`, of a TC program. A frame that is sent on leaves it to be seen where to.
  func runOnTC(
    frame: [UInt8], ingress interface: UInt32
  ) throws(DataPlaneError) -> (action: FrameAction, frame: [UInt8]) {
    try Self.runOnTC(program, frame: frame, ingress: interface)
  }

  /// As `runOnTC`, of the program of this descriptor.
  static func runOnTC(
    _ program: Int32, frame: [UInt8], ingress interface: UInt32
  ) throws(DataPlaneError) -> (action: FrameAction, frame: [UInt8]) {
    var context = __sk_buff()
    context.ifindex = interface
    let (value, output) = try run(program, frame: frame, context: &context)
    let action: FrameAction =
      switch Int32(bitPattern: value) {
      case -1: .pass
      case 2: .drop
      case 7: .redirect
      default: .aborted
      }
    return (action, output)
  }

  private static func run<Context>(
    _ program: Int32, frame: [UInt8], context: inout Context
  ) throws(DataPlaneError) -> (value: UInt32, frame: [UInt8]) {
    var output = [UInt8](repeating: 0, count: frame.count + 64)
    var options = bpf_test_run_opts()
    options.sz = MemoryLayout<bpf_test_run_opts>.size
    // More than one run at a time would have the kernel wait for a grace period.
    options.repeat = 1
    let code = frame.withUnsafeBytes { source in
      output.withUnsafeMutableBytes { target in
        withUnsafeBytes(of: &context) { context in
          options.data_in = source.baseAddress
          options.data_size_in = UInt32(source.count)
          options.data_out = target.baseAddress
          options.data_size_out = UInt32(target.count)
          options.ctx_in = context.baseAddress
          options.ctx_size_in = UInt32(context.count)
          return bpf_prog_test_run_opts(program, &options)
        }
      }
    }
    guard code == 0 else {
      throw .from(code: -code, doing: "run the program on a frame of \(frame.count) bytes")
    }
    output.removeLast(output.count - Int(options.data_size_out))
    return (options.retval, output)
  }
}

extension LoadedProgram {
  /// Runs a program again and again on one frame, each time as the last run has left it, as if it
  /// came in by the loopback interface. Returns what the last run said of it. Nothing is sent.
  package static func run(
    _ program: Int32, frame: [UInt8], times: Int
  ) throws(DataPlaneError) -> FrameAction {
    var options = bpf_test_run_opts()
    options.repeat = Int32(times)
    try run(program, frame, &options)
    return FrameAction(rawValue: options.retval) ?? .aborted
  }

  /// Has a program make `times` frames, beginning with this one, which are really sent where it
  /// sends them, in batches of 64. Frames that were made before come back as the last receiver left
  /// them.
  package static func runLive(
    _ program: Int32, frame: [UInt8], times: Int
  ) throws(DataPlaneError) {
    var options = bpf_test_run_opts()
    options.repeat = Int32(times)
    options.flags = UInt32(BPF_F_TEST_XDP_LIVE_FRAMES)
    options.batch_size = 64
    try run(program, frame, &options)
  }

  private static func run(
    _ program: Int32, _ frame: [UInt8], _ options: inout bpf_test_run_opts
  ) throws(DataPlaneError) {
    options.sz = MemoryLayout<bpf_test_run_opts>.size
    let code = frame.withUnsafeBytes { source in
      options.data_in = source.baseAddress
      options.data_size_in = UInt32(source.count)
      return bpf_prog_test_run_opts(program, &options)
    }
    guard code == 0 else {
      throw .from(code: -code, doing: "run a program on a frame of \(frame.count) bytes")
    }
  }
}
