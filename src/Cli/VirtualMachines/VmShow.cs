using System.Globalization;
using Godwit.Api.VirtualMachines;
using Godwit.Cli.Text;

namespace Godwit.Cli.VirtualMachines;

/// <summary>godwit vm show</summary>
internal static class VmShow
{
    /// <summary>Makes the command.</summary>
    public static Verb Create(Shell shell, GlobalOptions global)
    {
        var name = VmCommands.NameArgument();
        var verb = new Verb("show", "Shows a VM and where its disks are", "godwit vm show web") { name };
        verb.AddJson("Write the VM as JSON");
        verb.Does(shell, global, async (session, cancellationToken) =>
        {
            var vm = await session.Client.GetVirtualMachineAsync(session.Get(name), cancellationToken);
            if (!session.TryWriteJson(vm, JsonText.Api.VirtualMachine))
                Write(session, vm);
            return ExitCode.Ok;
        });
        return verb;
    }

    /// <summary>What a disk is not protected against belongs where its owner looks, not only into a log.</summary>
    private static void WriteGaps(Session session, VirtualMachine vm)
    {
        var gaps = vm.Disks.SelectMany(disk => disk.Gaps ?? [], (disk, gap) => (disk.Name, gap)).ToArray();
        if (gaps.Length == 0)
            return;
        session.Shell.Out.WriteLine();
        var table = new Table(session.Paint, "DISK", "MISSING PROTECTION");
        foreach (var (name, gap) in gaps)
            table.Add(name, gap);
        table.Write(session.Shell.Out);
    }

    private static void Write(Session session, VirtualMachine vm)
    {
        var fields = new FieldList(session.Paint);
        fields.Add("Name", vm.Name);
        fields.Add("Id", vm.Id.ToString());
        fields.Add("State", vm.StateReason is null ? vm.State.ToString() : $"{vm.State} ({vm.StateReason})");
        fields.Add("Saved", vm.SavedState is { } saved ? $"{Clock.Format(saved.Saved)} in {saved.File}" : null);
        fields.Add("Generation", vm.Generation == 1 ? "1 (BIOS)" : "2 (UEFI)");
        VmSettingsText.Add(fields, vm.Settings);
        fields.Add("Folder", vm.Path);
        fields.Add("Accelerator", vm.AcceleratorReason is null ? vm.Accelerator : $"{vm.Accelerator} ({vm.AcceleratorReason})");
        fields.Add("QEMU", vm.QemuProcessId is int qemu ? string.Create(CultureInfo.InvariantCulture, $"process {qemu}") : null);
        fields.Add(
            "Worker", vm.WorkerProcessId is int worker ? string.Create(CultureInfo.InvariantCulture, $"process {worker}") : null);
        fields.Add("Job", vm.JobId?.ToString());
        fields.Write(session.Shell.Out);
        DriveTables.Write(session, vm);
        WriteGaps(session, vm);
    }
}
