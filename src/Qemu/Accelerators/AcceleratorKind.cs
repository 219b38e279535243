using System.Text.Json.Serialization;

namespace Godwit.Qemu.Accelerators;

/// <summary>What runs the guest's code.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<AcceleratorKind>))]
public enum AcceleratorKind
{
    /// <summary>QEMU translates it: works everywhere, many times slower.</summary>
    Tcg = 0,

    /// <summary>The processor, by way of the kernel's KVM.</summary>
    Kvm = 1,
}

/// <summary>The accelerator to use, and why not the better one.</summary>
/// <param name="Kind">What runs the guest's code.</param>
/// <param name="Reason">Why KVM cannot be used, in a sentence; null when it is used.</param>
public sealed record AcceleratorChoice(AcceleratorKind Kind, string? Reason);

/// <summary>The processor model for each accelerator: the same one in the probe and in a VM, or the probe proves nothing.</summary>
public static class CpuModels
{
    /// <summary>The value of <c>-cpu</c>.</summary>
    public static string For(AcceleratorKind kind) => kind == AcceleratorKind.Kvm ? "host" : "max";

    /// <summary>What every processor of the last ten years has, of either maker (x86-64-v2): a guest that saw it can go on elsewhere.</summary>
    public static string Compatible => "qemu64,+cx16,+lahf-lm,+popcnt,+pni,+ssse3,+sse4.1,+sse4.2";
}
