using System.Runtime.InteropServices;
using Godwit.Worker.Interop;

namespace Godwit.Worker.Sandbox;

/// <summary>
/// Landlock: the calling thread, its later threads and the programs they start reach only the folders and TCP ports named here, and no
/// process outside. It cannot be taken back.
/// </summary>
/// <remarks>Threads that exist already stay as they are. So the supervisor limits a thread of its own and starts the worker from
/// it: then every thread of the worker is limited from its first instruction.</remarks>
internal static unsafe class Landlock
{
    private const long CreateCall = 444, AddRuleCall = 445, RestrictCall = 446;
    private const int AskVersion = 1, PathBeneath = 1, Port = 2;
    private const int PathOnly = 0x200000;
    private const ulong ConnectTcp = 2, BindAndConnectTcp = 3, AbstractSocketsAndSignals = 3;

    /// <summary>What the kernel offers.</summary>
    /// <returns>The version, 0 when there is none.</returns>
    internal static int Version()
    {
        var version = (int)LibC.Call(CreateCall, 0, 0, AskVersion, 0);
        return version > 0 && !KernelFeatures.Hidden("landlock") ? version : 0;
    }

    /// <summary>Limits the calling thread.</summary>
    /// <param name="version">What <see cref="Version"/> said; above 0.</param>
    /// <param name="places">Where files may be, with the rights there. One that does not exist is left out.</param>
    /// <param name="ports">TCP ports it may connect to.</param>
    /// <param name="everywhere">Disks may be anywhere: only what no disk needs is taken away.</param>
    /// <exception cref="Api.GodwitException">The kernel refused; nothing has changed.</exception>
    internal static void Restrict(int version, IEnumerable<(string Path, ulong Rights)> places, IReadOnlyList<int> ports, bool everywhere)
    {
        var handled = FolderRights.Known(version);
        if (everywhere)
            handled &= FolderRights.NeverNeeded;
        var rules = stackalloc ulong[3] { handled, BindAndConnectTcp, AbstractSocketsAndSignals };
        var length = version switch { < 4 => 8, < 6 => 16, _ => 24 };
        var set = (int)LibC.Call(CreateCall, (long)rules, length, 0, 0);
        if (set < 0)
            throw Errno.Exception("make landlock rules");
        try
        {
            foreach (var (path, rights) in places)
                Add(set, path, rights & handled);
            for (var i = 0; version >= 4 && i < ports.Count; i++)
                AddPort(set, ports[i]);
            if (LibC.Call(RestrictCall, set, 0, 0, 0) != 0)
                throw Errno.Exception("apply landlock rules");
        }
        finally
        {
            _ = LibC.Close(set);
        }
    }

    private static void Add(int set, string path, ulong rights)
    {
        if (rights == 0)
            return;
        var place = LibC.Open(path, PathOnly | LibC.CloseOnExec, 0);
        if (place < 0)
            return;
        try
        {
            var rule = new Rule { Rights = Directory.Exists(path) ? rights : rights & FolderRights.OfFiles, Place = place };
            if (rule.Rights != 0 && LibC.Call(AddRuleCall, set, PathBeneath, (nint)(&rule), 0) != 0)
                throw Errno.Exception($"add {path} to the landlock rules");
        }
        finally
        {
            _ = LibC.Close(place);
        }
    }

    private static void AddPort(int set, int port)
    {
        // The kernel's struct landlock_net_port_attr.
        var rule = stackalloc ulong[2] { ConnectTcp, (ulong)port };
        if (LibC.Call(AddRuleCall, set, Port, (nint)rule, 0) != 0)
            throw Errno.Exception($"add port {port} to the landlock rules");
    }

    /// <summary>The kernel's struct landlock_path_beneath_attr.</summary>
    [StructLayout(LayoutKind.Sequential, Pack = 1)]
    private struct Rule
    {
        internal ulong Rights;
        internal int Place;
    }
}
