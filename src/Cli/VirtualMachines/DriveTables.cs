using System.Globalization;
using Godwit.Api.Disks;
using Godwit.Api.VirtualMachines;
using Godwit.Cli.Text;

namespace Godwit.Cli.VirtualMachines;

/// <summary>Drives of a VM for people.</summary>
internal static class DriveTables
{
    /// <summary>Writes disks and DVD drives, each as a table.</summary>
    public static void Write(Session session, VirtualMachine vm)
    {
        if (vm.Disks.Count > 0)
        {
            session.Shell.Out.WriteLine();
            var table = new Table(session.Paint, "DISK", ">SIZE", "FORMAT", "CACHE", "CONTROLLER", "PATH");
            foreach (var disk in vm.Disks)
            {
                table.Add(
                    disk.Name, ByteSize.Format(disk.Size), DiskFormats.Word(disk.Format), DiskCaches.Word(disk.Cache),
                    Place(disk.ControllerType, disk.ControllerNumber, disk.ControllerLocation), disk.Path);
            }

            table.Write(session.Shell.Out);
        }

        if (vm.DvdDrives is not { Count: > 0 } drives)
            return;
        session.Shell.Out.WriteLine();
        var discs = new Table(session.Paint, "DVD", "CONTROLLER", "DISC");
        foreach (var drive in drives)
            discs.Add(drive.Name, Place(drive.ControllerType, drive.ControllerNumber, drive.ControllerLocation), drive.Path ?? "");
        discs.Write(session.Shell.Out);
    }

    private static string Place(ControllerType? type, int? number, int? location) => type is { } known
        ? string.Create(CultureInfo.InvariantCulture, $"{Kebab.Of(known)} {number ?? 0}:{location ?? 0}")
        : Kebab.Of(ControllerType.Virtio);
}
