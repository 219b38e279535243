using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using Godwit.Qemu.Processes;

namespace Godwit.Qemu.Accelerators;

/// <summary>
/// Finds out whether KVM can be used by letting it run code: a device that opens, and even firmware that runs, has been
/// seen to prove nothing.
/// </summary>
/// <param name="binary">Absolute path of the QEMU program.</param>
/// <param name="scratchFolder">An existing folder for short-lived files.</param>
/// <param name="time">The clock.</param>
public sealed class AcceleratorProbe(string binary, string scratchFolder, TimeProvider time)
{
    private const string Device = "/dev/kvm";
    private const string BootIdFile = "/proc/sys/kernel/random/boot_id";

    /// <summary>How long the probe's guest may take from the start of QEMU to its end. Ten times what a slow and busy machine
    /// needs with a working KVM, a fifth of what one takes that only pretends.</summary>
    public TimeSpan Limit { get; init; } = TimeSpan.FromSeconds(3);

    /// <summary>Decides which accelerator to use; remembers the answer until the machine is started again or QEMU changes.</summary>
    /// <param name="version">The program's version.</param>
    /// <param name="cacheFile">Where the answer is kept; its folder exists. An unreadable one is ignored and replaced.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="QemuException">QEMU cannot be executed at all.</exception>
    public async Task<AcceleratorChoice> ChooseAsync(QemuVersion version, string cacheFile, CancellationToken cancellationToken)
    {
        var changed = File.GetLastWriteTimeUtc(binary).Ticks;
        var bootId = (await File.ReadAllTextAsync(BootIdFile, cancellationToken).ConfigureAwait(false)).Trim();
        if (await ReadAsync(cacheFile, cancellationToken).ConfigureAwait(false) is { } known
            && known with { Choice = null } == new ProbeRecord(bootId, binary, changed, version.ToString(), null)
            && known.Choice is { } choice)
        {
            return choice;
        }

        var reason = WhyNotEvenTried() ?? await TryAsync(AcceleratorKind.Kvm, cancellationToken).ConfigureAwait(false);
        choice = new AcceleratorChoice(reason is null ? AcceleratorKind.Kvm : AcceleratorKind.Tcg, reason);
        await WriteAsync(cacheFile, new ProbeRecord(bootId, binary, changed, version.ToString(), choice), cancellationToken).ConfigureAwait(false);
        return choice;
    }

    /// <summary>Runs the probe's guest once.</summary>
    /// <param name="kind">What is to run it.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>Null when its code ran to the end, else why it did not.</returns>
    /// <exception cref="QemuException">QEMU cannot be executed at all.</exception>
    public async Task<string?> TryAsync(AcceleratorKind kind, CancellationToken cancellationToken)
    {
        var name = Path.Combine(scratchFolder, $"probe-{Guid.NewGuid():N}");
        var disk = name + ".img";
        try
        {
            await File.WriteAllBytesAsync(disk, ProbeBootSector.ToDisk(), cancellationToken).ConfigureAwait(false);
            var begun = time.GetTimestamp();
            var run = await BoundedRun.RunAsync(binary, Arguments(kind, disk), name + ".log", Limit, time, cancellationToken).ConfigureAwait(false);
            return Judge(kind, run, time.GetElapsedTime(begun));
        }
        finally
        {
            File.Delete(disk);
        }
    }

    private static string? WhyNotEvenTried()
    {
        try
        {
            using var device = File.OpenHandle(Device, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
            return null;
        }
        catch (FileNotFoundException)
        {
            return $"there is no {Device}: the processor's virtualization is switched off, or this machine is itself virtual";
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return $"{Device} cannot be opened: {e.Message}";
        }
    }

    private string? Judge(AcceleratorKind kind, BoundedRun run, TimeSpan took)
    {
        var said = run.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        var words = said.Length == 0 ? "" : $": {said[0]}";
        return run.ExitCode switch
        {
            ProbeBootSector.ExitCode => null,
            null => string.Create(
                CultureInfo.InvariantCulture,
                $"{NameOf(kind)} starts, but a small test guest did not finish within {Limit.TotalSeconds:0.#} s (it takes a fraction of a second where {NameOf(kind)} works)"),
            0 => $"a small test guest crashes under {NameOf(kind)}{words}",
            > 128 and var signal => $"{NameOf(kind)} makes QEMU crash (signal {signal - 128} after {took.TotalMilliseconds:0} ms){words}",
            var code => $"QEMU refuses {NameOf(kind)} (exit status {code}){words}",
        };
    }

    private static string NameOf(AcceleratorKind kind) => kind == AcceleratorKind.Kvm ? "KVM" : "TCG";

    private static IReadOnlyList<string> Arguments(AcceleratorKind kind, string disk) =>
    [
        "-machine", "q35", "-accel", kind == AcceleratorKind.Kvm ? "kvm" : "tcg", "-cpu", CpuModels.For(kind), "-m", "64M",
        "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
        "-device", "isa-debug-exit,iobase=0xf4,iosize=4",
        "-drive", $"if=none,id=probe,format=raw,readonly=on,file={disk.Replace(",", ",,", StringComparison.Ordinal)}",
        "-device", "virtio-blk-pci,drive=probe,bootindex=1",
    ];

    private static async Task<ProbeRecord?> ReadAsync(string cacheFile, CancellationToken cancellationToken)
    {
        try
        {
            var text = await File.ReadAllBytesAsync(cacheFile, cancellationToken).ConfigureAwait(false);
            return JsonSerializer.Deserialize(text, ProbeJson.Default.ProbeRecord);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException)
        {
            return null;
        }
    }

    private static async Task WriteAsync(string cacheFile, ProbeRecord record, CancellationToken cancellationToken)
    {
        var unfinished = $"{cacheFile}.{Guid.NewGuid():N}";
        await File.WriteAllBytesAsync(unfinished, JsonSerializer.SerializeToUtf8Bytes(record, ProbeJson.Default.ProbeRecord), cancellationToken)
            .ConfigureAwait(false);
        File.Move(unfinished, cacheFile, overwrite: true);
    }
}

/// <summary>A remembered answer and what it depends on.</summary>
internal sealed record ProbeRecord(string BootId, string Binary, long BinaryChanged, string Version, AcceleratorChoice? Choice);

/// <summary>Serialization of the remembered answer.</summary>
[JsonSerializable(typeof(ProbeRecord))]
internal sealed partial class ProbeJson : JsonSerializerContext;
