using System.Globalization;
using System.Text.Json;

namespace Godwit.Qemu.Launch;

/// <summary>Arguments for controllers, disks and DVD drives; their options are JSON, so that nothing in a path can become another one.</summary>
internal static class QemuDrives
{
    private const string IdeController = "controller-ide";

    /// <summary>Prefix of a drive's device, before its name.</summary>
    public const string DevicePrefix = "device-";

    /// <summary>Controllers that are needed. They have fixed PCI addresses, so that no other device moves when one is added.</summary>
    public static void AddControllers(List<string> arguments, QemuConfiguration configuration)
    {
        var places = configuration.Disks.Select(disk => disk.Place).Concat(configuration.Dvds.Select(dvd => dvd.Place)).ToList();
        if (places.Exists(place => place.Bus == QemuBus.Ide))
            AddController(arguments, "piix3-ide", IdeController, "1c");
        for (var i = 0; i < configuration.ScsiControllers; i++)
            AddController(arguments, "virtio-scsi-pci", ScsiController(i), (0x18 + i).ToString("x", CultureInfo.InvariantCulture));
    }

    /// <summary>A disk and its connection to the worker.</summary>
    /// <param name="arguments">Where to.</param>
    /// <param name="disk">The disk.</param>
    /// <param name="boot">Its turn when the guest boots, from 1; null when it is not booted from.</param>
    public static void AddDisk(List<string> arguments, QemuDisk disk, int? boot)
    {
        arguments.AddRange(["-blockdev", QemuJson.Text(json => WriteNode(json, disk))]);
        arguments.AddRange(["-device", QemuJson.Text(json => WriteDevice(json, disk, boot))]);
    }

    /// <summary>A DVD drive and what is in it.</summary>
    public static void AddDvd(List<string> arguments, QemuDvd dvd, int? boot)
    {
        if (dvd.Path is { } path)
            arguments.AddRange(["-blockdev", QemuJson.Text(json => WriteFile(json, dvd.Name, path, readOnly: true))]);
        arguments.AddRange(["-device", QemuJson.Text(json =>
        {
            json.WriteString("driver", dvd.Place.Bus == QemuBus.Ide ? "ide-cd" : "scsi-cd");
            json.WriteString("id", DevicePrefix + dvd.Name);
            WritePlace(json, dvd.Place);
            if (dvd.Path is not null)
                json.WriteString("drive", dvd.Name);
            WriteBoot(json, boot);
        })]);
    }

    /// <summary>A file that QEMU itself opens.</summary>
    public static void WriteFile(Utf8JsonWriter json, string node, string path, bool readOnly)
    {
        json.WriteString("driver", "file");
        json.WriteString("node-name", node);
        json.WriteString("filename", path);
        json.WriteBoolean("read-only", readOnly);
    }

    private static string ScsiController(int number) => "controller-scsi" + number.ToString(CultureInfo.InvariantCulture);

    private static void AddController(List<string> arguments, string driver, string id, string address) =>
        arguments.AddRange(["-device", QemuJson.Text(json =>
        {
            json.WriteString("driver", driver);
            json.WriteString("id", id);
            json.WriteString("addr", address);
        })]);

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

    private static void WriteDevice(Utf8JsonWriter json, QemuDisk disk, int? boot)
    {
        json.WriteString("driver", disk.Place.Bus switch
        {
            QemuBus.Ide => "ide-hd",
            QemuBus.Scsi => "scsi-hd",
            _ => "virtio-blk-pci",
        });
        json.WriteString("id", DevicePrefix + disk.Name);
        WritePlace(json, disk.Place);
        json.WriteString("drive", disk.Name);
        if (disk.Serial is not null)
            json.WriteString("serial", disk.Serial);
        if (!disk.WriteCache)
            json.WriteString("write-cache", "off");
        WriteBoot(json, boot);
        json.WriteString("werror", "stop");
        json.WriteString("rerror", "stop");
    }

    private static void WritePlace(Utf8JsonWriter json, QemuPlace place)
    {
        if (place.Bus == QemuBus.Ide)
        {
            json.WriteString("bus", $"{IdeController}.{place.Controller}");
            json.WriteNumber("unit", place.Location);
        }
        else if (place.Bus == QemuBus.Scsi)
        {
            json.WriteString("bus", ScsiController(place.Controller) + ".0");
            json.WriteNumber("scsi-id", place.Location);
            json.WriteNumber("lun", 0);
        }
    }

    private static void WriteBoot(Utf8JsonWriter json, int? boot)
    {
        if (boot is int turn)
            json.WriteNumber("bootindex", turn);
    }
}
