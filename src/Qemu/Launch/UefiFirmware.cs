namespace Godwit.Qemu.Launch;

/// <summary>UEFI firmware for guests, as a distribution installs it (OVMF).</summary>
/// <param name="Code">The program; never written to.</param>
/// <param name="Template">Variables of a computer that was never switched on; each VM gets a copy.</param>
public sealed record UefiFirmware(string Code, string Template)
{
    /// <summary>Where Debian's package "ovmf" puts it.</summary>
    public const string DefaultFolder = "/usr/share/OVMF";

    private const long MaximumBytes = 4 << 20;

    /// <summary>The firmware in a folder; null when it is not there.</summary>
    /// <remarks>The build of 4 MiB without Secure Boot and System Management Mode.</remarks>
    public static UefiFirmware? Find(string folder)
    {
        var found = new UefiFirmware(Path.Combine(folder, "OVMF_CODE_4M.fd"), Path.Combine(folder, "OVMF_VARS_4M.fd"));
        return File.Exists(found.Code) && File.Exists(found.Template) ? found : null;
    }

    /// <summary>Variables for a new VM.</summary>
    /// <exception cref="IOException">They cannot be read, or are larger than a flash chip.</exception>
    public byte[] NewVariables() => new FileInfo(Template).Length <= MaximumBytes
        ? File.ReadAllBytes(Template)
        : throw new IOException($"{Template} is larger than {MaximumBytes} bytes");
}

/// <summary>What a VM's UEFI firmware is in.</summary>
/// <param name="Code">The program; opened for reading only.</param>
/// <param name="Variables">The VM's own variables; written by the guest.</param>
public sealed record QemuFirmware(string Code, string Variables);
