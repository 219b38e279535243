using System.Globalization;
using System.Text;
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
        QemuDrives.AddControllers(arguments, configuration);
        var turns = BootTurns(configuration);
        foreach (var disk in configuration.Disks)
            QemuDrives.AddDisk(arguments, disk, turns(disk.Name));
        foreach (var network in configuration.Networks)
            AddNetwork(arguments, network);
        foreach (var dvd in configuration.Dvds)
            QemuDrives.AddDvd(arguments, dvd, turns(dvd.Name));
        return arguments;
    }

    /// <summary>Arguments by which a running QEMU is known to be the one of this VM.</summary>
    public static IReadOnlyList<string> Marks(Guid uuid, QemuFiles files) => ["-uuid", uuid.ToString("D"), "-pidfile", files.PidFile];

    private static void AddMachine(List<string> arguments, QemuConfiguration configuration)
    {
        var kvm = configuration.Accelerator == AcceleratorKind.Kvm;
        arguments.AddRange(["-name", $"guest={Escape(configuration.Name)},debug-threads=on"]);
        arguments.AddRange(Marks(configuration.Uuid, configuration.Files));
        var flash = AddFirmware(arguments, configuration.Firmware);
        arguments.AddRange(["-machine", configuration.Machine + flash, "-accel", kvm ? "kvm" : "tcg,thread=multi"]);
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

    // Two flash chips: what is in them is saved and loaded with the memory.
    private static string AddFirmware(List<string> arguments, QemuFirmware? firmware)
    {
        if (firmware is null)
            return "";
        arguments.AddRange(["-blockdev", QemuJson.Text(json => QemuDrives.WriteFile(json, "firmware-code", firmware.Code, readOnly: true))]);
        arguments.AddRange(["-blockdev", QemuJson.Text(json => QemuDrives.WriteFile(json, "firmware-variables", firmware.Variables, readOnly: false))]);
        return ",pflash0=firmware-code,pflash1=firmware-variables";
    }

    // Drives that are named come first, the others after them in their order.
    private static Func<string, int?> BootTurns(QemuConfiguration configuration)
    {
        if (configuration.Kernel is not null)
            return _ => null;
        var drives = configuration.Disks.Select(disk => disk.Name).Concat(configuration.Dvds.Select(dvd => dvd.Name));
        var turns = configuration.BootOrder.Intersect(drives).Union(drives).Select((name, i) => (name, i)).ToDictionary(pair => pair.name, pair => pair.i + 1);
        return name => turns[name];
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

    private static void AddNetwork(List<string> arguments, QemuNetwork network)
    {
        arguments.AddRange(["-netdev", QemuJson.Text(json =>
        {
            json.WriteString("type", "user");
            json.WriteString("id", network.Name);
        })]);
        arguments.AddRange(["-device", QemuJson.Text(json =>
        {
            json.WriteString("driver", "virtio-net-pci");
            json.WriteString("id", "device-" + network.Name);
            json.WriteString("netdev", network.Name);
            json.WriteString("mac", network.MacAddress);
            // Nothing is booted from it: the program for that would only cost time.
            json.WriteString("romfile", "");
        })]);
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
        string?[] texts =
        [
            configuration.Name, configuration.Kernel, configuration.Initrd, configuration.Append, configuration.SerialLog,
            configuration.Firmware?.Code, configuration.Firmware?.Variables, .. configuration.Dvds.Select(dvd => dvd.Path),
        ];
        foreach (var text in texts)
            Require(text is null || !text.Contains('\0', StringComparison.Ordinal), "a zero character cannot be given to a program");
        var files = configuration.Files;
        string[] sockets = [files.Monitor, files.OutOfBandMonitor, files.SerialSocket, .. configuration.Disks.Select(disk => disk.Socket)];
        foreach (var socket in sockets)
            Require(Encoding.UTF8.GetByteCount(socket) <= SocketPathBytes, $"{socket}: a socket's path must have at most {SocketPathBytes} bytes");
        foreach (var disk in configuration.Disks)
            CheckDisk(disk);
        CheckPlaces(configuration);
        foreach (var network in configuration.Networks)
            Require(network.Name.Length is >= 1 and <= 24 && network.Name.All(char.IsAsciiLetterOrDigit), $"\"{network.Name}\" cannot be an adapter's name");
    }

    // Nothing that could begin another value or another option.
    private static bool IsPlain(string text) => text.Length > 0 && text.All(IsPlain);

    private static bool IsPlain(char c) => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.';

    private static void CheckPlaces(QemuConfiguration configuration)
    {
        List<(string Name, QemuPlace Place)> drives =
            [.. configuration.Disks.Select(disk => (disk.Name, disk.Place)), .. configuration.Dvds.Select(dvd => (dvd.Name, dvd.Place))];
        Require(drives.DistinctBy(drive => drive.Name).Count() == drives.Count, "two drives have the same name");
        Require(configuration.ScsiControllers is >= 0 and <= QemuPlace.ScsiControllers, $"{configuration.ScsiControllers} SCSI controllers");
        foreach (var (name, place) in drives)
        {
            CheckName(name);
            Require(place.Exists && (place.Bus != QemuBus.Scsi || place.Controller < configuration.ScsiControllers), $"{name}: there is no place {place}");
        }

        var fixedPlaces = drives.Where(drive => drive.Place.Bus != QemuBus.Virtio).ToList();
        Require(fixedPlaces.DistinctBy(drive => drive.Place).Count() == fixedPlaces.Count, "two drives have the same place");
        Require(configuration.Dvds.All(dvd => dvd.Place.Bus != QemuBus.Virtio), "a DVD drive is on IDE or SCSI");
    }

    private static void CheckName(string name)
    {
        var named = name.Length is >= 1 and <= 24 && char.IsAsciiLetter(name[0]);
        foreach (var c in name)
            named &= char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.';
        Require(named, $"\"{name}\" cannot be a drive's name: a letter, then letters, digits, '-', '_' or '.', at most 24");
    }

    private static void CheckDisk(QemuDisk disk)
    {
        Require(disk.Serial is null || Encoding.UTF8.GetByteCount(disk.Serial) <= 20, $"{disk.Name}: the serial number is longer than 20 bytes");
        Require(disk.ReconnectSeconds >= 0 && disk.OpenSeconds >= 0, $"{disk.Name}: a negative time");
    }

    private static void Require(bool condition, string reason)
    {
        if (!condition)
            throw new QemuException(QemuErrorKind.InvalidConfiguration, reason);
    }
}
