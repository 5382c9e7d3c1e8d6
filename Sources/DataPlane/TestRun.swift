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
    try loaded.run(frame: frame, ingress: interface, linear: linear)
  }
}

extension LoadedProgram {
  /// As `DataPlane.run`. An ingress of 0 is the loopback interface.
  func run(
    frame: [UInt8], ingress interface: UInt32, linear: Int? = nil
  ) throws(DataPlaneError) -> (action: FrameAction, frame: [UInt8]) {
    var context = xdp_md()
    context.data_end = UInt32(linear ?? frame.count)
    context.ingress_ifindex = interface
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
    return (FrameAction(rawValue: options.retval) ?? .aborted, output)
  }
}
