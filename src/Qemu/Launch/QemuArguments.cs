using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Godwit.Qemu.Accelerators;

namespace Godwit.Qemu.Launch;

/// <summary>Turns a configuration into QEMU's argument list. No shell ever sees it.</summary>
/// <remarks>Source: QEMU system emulation manual, "Invocation"; sequences and their reasons in docs/design/qemu.md.</remarks>
internal static class QemuArguments
{
    private const int SocketPathBytes = 107;
    private const long MemoryUnit = 1 << 20;

    /// <summary>Builds the list, without the program's own name.</summary>
    /// <exception cref="QemuException"><see cref="QemuErrorKind.InvalidConfiguration"/>: a value cannot be given to QEMU.</exception>
    public static IReadOnlyList<string> Build(QemuConfiguration configuration)
    {
        Check(configuration);
        var arguments = new List<string>();
        AddMachine(arguments, configuration);
        AddBoot(arguments, configuration);
        AddMonitors(arguments, configuration.Files);
        AddSerial(arguments, configuration);
        for (var i = 0; i < configuration.Disks.Count; i++)
            AddDisk(arguments, configuration.Disks[i], i, bootable: configuration.Kernel is null);
        foreach (var network in configuration.Networks)
            AddNetwork(arguments, network);
        return arguments;
    }

    /// <summary>Arguments by which a running QEMU is known to be the one of this VM.</summary>
    public static IReadOnlyList<string> Marks(Guid uuid, QemuFiles files) => ["-uuid", uuid.ToString("D"), "-pidfile", files.PidFile];

    private static void AddMachine(List<string> arguments, QemuConfiguration configuration)
    {
        var kvm = configuration.Accelerator == AcceleratorKind.Kvm;
        arguments.AddRange(["-name", $"guest={Escape(configuration.Name)},debug-threads=on"]);
        arguments.AddRange(Marks(configuration.Uuid, configuration.Files));
        arguments.AddRange(["-machine", configuration.Machine, "-accel", kvm ? "kvm" : "tcg,thread=multi"]);
        arguments.AddRange(["-cpu", configuration.Cpu ?? CpuModels.For(configuration.Accelerator)]);
        arguments.AddRange(["-m", Number(configuration.Memory / MemoryUnit) + "M", "-smp", Number(configuration.Cpus)]);
        arguments.AddRange(["-nodefaults", "-no-user-config", "-display", "none", "-msg", "timestamp=on"]);
        if (configuration.Sandbox)
            arguments.AddRange(["-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"]);
        if (configuration.Incoming)
            arguments.AddRange(["-incoming", "defer"]);
        if (configuration.StartPaused || configuration.Incoming)
            arguments.Add("-S");
    }

    private static void AddBoot(List<string> arguments, QemuConfiguration configuration)
    {
        if (configuration.Kernel is null)
        {
            // Nothing but what has a boot index: a disk that does not boot is then said to be so at once.
            arguments.AddRange(["-boot", "strict=on"]);
            return;
        }

        arguments.AddRange(["-kernel", configuration.Kernel]);
        if (configuration.Initrd is not null)
            arguments.AddRange(["-initrd", configuration.Initrd]);
        if (configuration.Append is not null)
            arguments.AddRange(["-append", configuration.Append]);
    }

    private static void AddMonitors(List<string> arguments, QemuFiles files)
    {
        arguments.AddRange(["-chardev", $"socket,id=qmp,path={Escape(files.Monitor)},server=on,wait=off", "-mon", "chardev=qmp,mode=control"]);
        arguments.AddRange(
            ["-chardev", $"socket,id=qmp-oob,path={Escape(files.OutOfBandMonitor)},server=on,wait=off", "-mon", "chardev=qmp-oob,mode=control"]);
    }

    private static void AddSerial(List<string> arguments, QemuConfiguration configuration)
    {
        // The log goes on whether or not a console is attached to the socket.
        var log = configuration.SerialLog is { } file ? $",logfile={Escape(file)},logappend=on" : "";
        arguments.AddRange(["-chardev", $"socket,id=serial0,path={Escape(configuration.Files.SerialSocket)},server=on,wait=off{log}"]);
        arguments.AddRange(["-serial", "chardev:serial0"]);
    }

    private static void AddDisk(List<string> arguments, QemuDisk disk, int index, bool bootable)
    {
        arguments.AddRange(["-blockdev", Json(json => WriteNode(json, disk)), "-device", Json(json => WriteDevice(json, disk, index, bootable))]);
    }

    private static void WriteNode(Utf8JsonWriter json, QemuDisk disk)
    {
        json.WriteString("driver", "nbd");
        json.WriteString("node-name", disk.Name);
        json.WriteStartObject("server");
        json.WriteString("type", "unix");
        json.WriteString("path", disk.Socket);
        json.WriteEndObject();
        json.WriteString("export", disk.Export);
        json.WriteNumber("reconnect-delay", disk.ReconnectSeconds);
        json.WriteNumber("open-timeout", disk.OpenSeconds);
        json.WriteString("discard", "unmap");
    }

    private static void WriteDevice(Utf8JsonWriter json, QemuDisk disk, int index, bool bootable)
    {
        json.WriteString("driver", "virtio-blk-pci");
        json.WriteString("id", "device-" + disk.Name);
        json.WriteString("drive", disk.Name);
        if (disk.Serial is not null)
            json.WriteString("serial", disk.Serial);
        if (!disk.WriteCache)
            json.WriteString("write-cache", "off");
        if (bootable)
            json.WriteNumber("bootindex", index + 1);
        json.WriteString("werror", "stop");
        json.WriteString("rerror", "stop");
    }

    private static void AddNetwork(List<string> arguments, QemuNetwork network)
    {
        arguments.AddRange(["-netdev", Json(json =>
        {
            json.WriteString("type", "user");
            json.WriteString("id", network.Name);
        })]);
        arguments.AddRange(["-device", Json(json =>
        {
            json.WriteString("driver", "virtio-net-pci");
            json.WriteString("id", "device-" + network.Name);
            json.WriteString("netdev", network.Name);
            json.WriteString("mac", network.MacAddress);
            // Nothing is booted from it: the program for that would only cost time.
            json.WriteString("romfile", "");
        })]);
    }

    private static string Json(Action<Utf8JsonWriter> write)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            write(json);
            json.WriteEndObject();
        }

        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }

    // In QEMU's key=value lists a comma ends a value unless it is doubled.
    private static string Escape(string value) => value.Replace(",", ",,", StringComparison.Ordinal);

    private static string Number(long value) => value.ToString(CultureInfo.InvariantCulture);

    private static void Check(QemuConfiguration configuration)
    {
        Require(configuration.Memory >= MemoryUnit && configuration.Memory % MemoryUnit == 0, $"{configuration.Memory} bytes of memory are not whole MiB");
        Require(configuration.Cpus is >= 1 and <= 255, $"{configuration.Cpus} processors: 1 to 255 are possible");
        Require(configuration.Kernel is not null || configuration.Initrd is null, "an initrd needs a kernel");
        Require(configuration.Kernel is not null || configuration.Append is null, "a kernel command line needs a kernel");
        Require(IsPlain(configuration.Machine), $"\"{configuration.Machine}\" cannot be a machine");
        Require(configuration.Cpu is null || configuration.Cpu.All(c => IsPlain(c) || c is ',' or '+' or '='), $"\"{configuration.Cpu}\" cannot be a processor");
        Require(Path.IsPathRooted(configuration.Binary), $"{configuration.Binary} is not an absolute path");
        string?[] texts = [configuration.Name, configuration.Kernel, configuration.Initrd, configuration.Append, configuration.SerialLog];
        foreach (var text in texts)
            Require(text is null || !text.Contains('\0', StringComparison.Ordinal), "a zero character cannot be given to a program");
        var files = configuration.Files;
        string[] sockets = [files.Monitor, files.OutOfBandMonitor, files.SerialSocket, .. configuration.Disks.Select(disk => disk.Socket)];
        foreach (var socket in sockets)
            Require(Encoding.UTF8.GetByteCount(socket) <= SocketPathBytes, $"{socket}: a socket's path must have at most {SocketPathBytes} bytes");
        foreach (var disk in configuration.Disks)
            CheckDisk(disk);
        foreach (var network in configuration.Networks)
            Require(network.Name.Length is >= 1 and <= 24 && network.Name.All(char.IsAsciiLetterOrDigit), $"\"{network.Name}\" cannot be an adapter's name");
        Require(configuration.Disks.Select(disk => disk.Name).Distinct().Count() == configuration.Disks.Count, "two disks have the same name");
    }

    // Nothing that could begin another value or another option.
    private static bool IsPlain(string text) => text.Length > 0 && text.All(IsPlain);

    private static bool IsPlain(char c) => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.';

    private static void CheckDisk(QemuDisk disk)
    {
        var named = disk.Name.Length is >= 1 and <= 24 && char.IsAsciiLetter(disk.Name[0]);
        foreach (var c in disk.Name)
            named &= char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.';
        Require(named, $"\"{disk.Name}\" cannot be a disk's name: a letter, then letters, digits, '-', '_' or '.', at most 24");
        Require(disk.Serial is null || Encoding.UTF8.GetByteCount(disk.Serial) <= 20, $"{disk.Name}: the serial number is longer than 20 bytes");
        Require(disk.ReconnectSeconds >= 0 && disk.OpenSeconds >= 0, $"{disk.Name}: a negative time");
    }

    private static void Require(bool condition, string reason)
    {
        if (!condition)
            throw new QemuException(QemuErrorKind.InvalidConfiguration, reason);
    }
}
