internal import CSockets
internal import Glibc
internal import HostNetwork

/// What of one interface keeps a rack's packets from flowing.
struct InterfaceChecks {
  var name: String
  /// nil: there is no such interface.
  var link: Link?
  /// The other end of a veth, if it can be looked at.
  var peer: Link?
  /// nil: the kernel does not say.
  var features: XDPFeatures?
  var driver: String?
  /// Whether the interface computes checksums, and takes VLAN tags off; nil: it does not say.
  var computesChecksums: Bool?
  var stripsTags: Bool?
  /// Programs of racks, by their number in the kernel.
  var racks: [UInt32: String]
  /// The directory sends frames back out of this interface (XDP_TX).
  var isOneArm: Bool
  /// Where XDP cannot be had, the rack's packets are handled on TC.
  var mayUseTC: Bool
  /// They are, in any case.
  var mustUseTC = false

  /// A frame that lies in one buffer has this length at most.
  private static let plainMTU: UInt32 = 3_498

  var findings: [Finding] {
    guard let link else {
      return [
        Finding(
          "interface", name, .bad, "there is no such interface in this network namespace",
          fix: "ip link")
      ]
    }
    return [state(link), mode(link), occupant(link), size(link), checksums, tags(link)]
      + (link.isPair ? [otherEnd(link)] : [])
  }

  private func state(_ link: Link) -> Finding {
    guard link.isUp else {
      return Finding("interface", name, .bad, "it is down", fix: "ip link set \(name) up")
    }
    guard link.hasCarrier else {
      return Finding(
        "interface", name, .bad, "it has no carrier: nothing is at its other end, or that is down",
        fix: link.isPair ? "ip link set PEER up" : "see to its cable and switch port")
    }
    return Finding("interface", name, .ok, "up")
  }

  private func mode(_ link: Link) -> Finding {
    let what = driver ?? link.kind ?? "its driver"
    if let kind = link.kind, ["bridge", "bond", "team"].contains(kind) {
      return Finding(
        "driver_mode", name, .bad, "a \(kind) does not see the frames of its ports in native mode",
        fix: "attach to its ports instead (`ip link show master \(name)` lists them)")
    }
    guard let features else {
      return Finding(
        "driver_mode", name, .ok, "\(what); this kernel does not say whether it runs XDP natively")
    }
    guard features.contains(.native) else {
      let why =
        link.isPair
        ? "its other end sends by more queues than it receives by" : "\(what) has no native XDP"
      return Finding(
        "driver_mode", name, .warning,
        "\(why): \(mayUseTC ? "TC" : "generic mode") instead, where each packet costs about as much "
          + "as in the kernel's own forwarding",
        fix: link.isPair
          ? "give \(name) as many queues as its peer (ip link add … numrxqueues N)" : nil)
    }
    return Finding("driver_mode", name, .ok, "\(what) runs XDP natively")
  }

  private func occupant(_ link: Link) -> Finding {
    guard let xdp = link.xdp else {
      return Finding("xdp_program", name, .ok, "none is attached")
    }
    if let number = xdp.program, let rack = racks[number] {
      return Finding(
        "xdp_program", name,
        xdp.mode == .generic && features?.contains(.native) == true
          ? .warning : .ok, "that of rack \(rack), in \(xdp.mode.rawValue) mode")
    }
    let number = xdp.program.map { " (number \($0))" } ?? ""
    return Finding(
      "xdp_program", name, .bad, "another XDP program\(number) has the interface",
      fix: "stop its owner, or: ip link set \(name) xdp off"
        + (xdp.program.map { " (bpftool prog show id \($0) says what it is)" } ?? ""))
  }

  private func size(_ link: Link) -> Finding {
    if link.mtu > Self.plainMTU, let features, features.contains(.native),
      !features.contains(.largeFrames)
    {
      return Finding(
        "mtu", name, .bad, "\(link.mtu), and the driver takes no XDP frames in several buffers",
        fix: "ip link set \(name) mtu 1500")
    }
    guard link.mtu >= 1_500 else {
      return Finding(
        "mtu", name, .warning,
        "\(link.mtu): datagrams of hotrack have up to 1,472 bytes of payload",
        fix: "ip link set \(name) mtu 1500")
    }
    return Finding("mtu", name, .ok, "\(link.mtu)")
  }

  private var checksums: Finding {
    switch computesChecksums {
    case true?:
      Finding(
        "checksum_offload", name, .ok, "on; the program completes sums that were left to hardware")
    case false?: Finding("checksum_offload", name, .ok, "off")
    case nil: Finding("checksum_offload", name, .ok, "the driver does not say")
    }
  }

  private func tags(_ link: Link) -> Finding {
    guard stripsTags == true, link.kind == nil else {
      return Finding("vlan_offload", name, .ok, "tags stay in the frame")
    }
    return Finding(
      "vlan_offload", name, .warning,
      "the interface takes VLAN tags off before XDP sees a frame: tagged requests look untagged, "
        + "and answers to them get no tag",
      fix: "if there are VLANs here: ethtool -K \(name) rxvlan off")
  }

  /// A veth gives frames of XDP to its other end only if that takes them in by NAPI: because it runs a
  /// program, or, for redirected frames, because it has GRO.
  private func otherEnd(_ link: Link) -> Finding {
    guard !mustUseTC else {
      return joining(
        "on TC, what a server behind it joins for one client (UDP_SEGMENT) arrives as one datagram "
          + "that is too long", "")
    }
    if peer?.xdp != nil, peer?.xdp?.mode != .generic {
      return Finding("peer", name, .ok, "the other end of the veth runs an XDP program")
    }
    let other = peer?.name ?? "PEER"
    let fix =
      "attach a program that passes everything to \(other), in its namespace: "
      + "xdp-loader load -m native \(other) PASS.o"
    if features?.contains(.transmit) == true {
      return isOneArm
        ? Finding(
          "peer", name, .bad,
          "the other end of the veth has GRO but no XDP program: what one-arm mode sends back is "
            + "lost or waits", fix: fix)
        : Finding("peer", name, .ok, "the other end of the veth has GRO")
    }
    guard features != nil || peer != nil else {
      return Finding("peer", name, .warning, "the other end of the veth cannot be looked at")
    }
    guard !mayUseTC else {
      return joining(
        "the other end of the veth has neither an XDP program nor GRO: the rack's packets are handled "
          + "on TC, where each costs about as much as in the kernel's own forwarding, and what a "
          + "server joins for one client (UDP_SEGMENT) arrives as one datagram that is too long",
        "ethtool -K \(other) gro on (in its namespace), or \(fix); or, to stay on TC: ")
    }
    return Finding(
      "peer", name, .bad,
      "the other end of the veth has neither an XDP program nor GRO: every frame that the data plane "
        + "sends there is lost in silence",
      fix: isOneArm ? fix : "ethtool -K \(other) gro on (in its namespace), or \(fix)")
  }

  private func joining(_ text: String, _ otherFix: String) -> Finding {
    let other = peer?.name ?? "PEER"
    return Finding(
      "peer", name, .warning, text,
      fix: otherFix + "ethtool -K \(other) tx-udp-segmentation off (in its namespace)")
  }
}

extension InterfaceChecks {
  /// Of an interface in the network namespace of this thread.
  init(
    _ name: String, _ network: HostNetwork, racks: [UInt32: String], isOneArm: Bool,
    mayUseTC: Bool, mustUseTC: Bool
  ) {
    let link = (try? network.link(named: name)) ?? nil
    self.init(
      name: name, link: link, peer: link.flatMap { network.peer(of: $0) },
      features: link.flatMap { network.xdpFeatures(of: $0) }, racks: racks, isOneArm: isOneArm,
      mayUseTC: mayUseTC, mustUseTC: mustUseTC)
    guard link != nil else { return }
    var text = [CChar](repeating: 0, count: 32)
    if csockets_driver(name, &text) == 0 {
      driver = String(
        decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
    var value: UInt32 = 0
    if csockets_checksums(name, &value) == 0 { computesChecksums = value != 0 }
    if csockets_features(name, &value) == 0 {
      stripsTags = value & UInt32(CSOCKETS_STRIPS_VLAN_TAGS) != 0
    }
  }
}
