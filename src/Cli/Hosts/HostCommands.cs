using System.CommandLine;
using System.Globalization;
using Godwit.Api.Hosts;
using Godwit.Cli.Text;

namespace Godwit.Cli.Hosts;

/// <summary>The commands of the noun "host".</summary>
internal static class HostCommands
{
    /// <summary>Makes the noun with its verbs.</summary>
    public static Command Create(Shell shell, GlobalOptions global)
    {
        var show = new Verb("show", "Shows what the host is and does", "godwit host show");
        show.AddJson("Write the host as JSON");
        show.Does(shell, global, ShowAsync);
        return new Command("host", "The computer godwitd runs on")
        {
            show, HostCheck.Create(shell, global), HostCertificate.CreateInit(shell, global), HostCertificate.CreateRenew(shell, global), HostToken.Create(shell, global),
            HostJoin.Create(shell, global), HostAudit.Create(shell, global), HostRescan.Create(shell, global), HostStopVms.Create(shell, global),
        };
    }

    private static async Task<int> ShowAsync(Session session, CancellationToken cancellationToken)
    {
        var host = await session.Client.GetHostAsync(cancellationToken);
        if (!session.TryWriteJson(host, JsonText.Api.HostStatus))
            Write(session, host);
        return ExitCode.Ok;
    }

    private static void Write(Session session, HostStatus host)
    {
        var fields = new FieldList(session.Paint);
        fields.Add("Name", host.Name);
        fields.Add("Version", host.Version);
        fields.Add("godwitd", $"process {Number(host.ProcessId)} at {session.Client.Address}");
        var why = host.AcceleratorReason is null ? "" : $" ({host.AcceleratorReason})";
        fields.Add("Accelerator", (host.Accelerator ?? "none") + why);
        fields.Add("VMs", $"{Number(host.VirtualMachines)}, {Number(host.RunningVirtualMachines)} running");
        fields.Add("Active jobs", Number(host.ActiveJobs));
        fields.Add("Moves at once", Number(host.StorageMoveLimit));
        fields.Add(
            "Allowed folders", host.AllowedRoots.Count == 0 ? "all but system folders" : string.Join(", ", host.AllowedRoots));
        fields.Write(session.Shell.Out);
    }

    private static string Number(int value) => value.ToString(CultureInfo.InvariantCulture);
}
