using Godwit.Api;
using Godwit.Api.Disks;
using Godwit.Api.Jobs;
using Godwit.Api.VirtualMachines;

namespace Godwit.ControlPlane.Tests.Api;

/// <summary>Records to answer with.</summary>
internal static class Samples
{
    public static readonly Guid JobId = Guid.Parse("3f2a9c01-1111-2222-3333-444455556666");
    public static readonly DateTimeOffset Start = new(2026, 3, 1, 12, 0, 0, TimeSpan.Zero);

    public static Job Job(JobState state, string phase = "Copy", JobProgress? progress = null, Problem? problem = null, bool canCancel = true) => new(
        JobId, "move-storage", "web", state, phase, progress, canCancel, problem, Start,
        state is JobState.Succeeded or JobState.Failed or JobState.Cancelled ? Start.AddSeconds(83) : null,
        [new JobStepStatus("create the target", "Prepare", "done"), new JobStepStatus("copy disk0", "Copy", "running")], []);

    public static JobProgress Progress(double percent) =>
        new((long)(percent / 100 * (8L << 30)), 8L << 30, 210L << 20, 18.2, percent);

    public static VirtualMachine Vm(string name = "web", VirtualMachineState state = VirtualMachineState.Running, Guid? job = null) => new(
        Guid.Parse("0a0b0c0d-1111-2222-3333-444455556666"), name, state, null, new VirtualMachineSettings { Memory = 2L << 30, Cpus = 2, Serial = "/srv/vms/web.log" },
        [new Disk("disk0", "/srv/vms/web.vhdx", DiskFormat.VhdxDynamic, 40L << 30), new Disk("disk1", "/srv/vms/data.img", DiskFormat.Raw, 512L << 20)],
        "/vms/web", state == VirtualMachineState.Off ? null : "tcg",
        state == VirtualMachineState.Off ? null : "/dev/kvm cannot be opened", state == VirtualMachineState.Off ? null : 4711,
        state == VirtualMachineState.Off ? null : 4712, job);
}
