#include "runnel/core/error.hpp"

namespace runnel::detail {

void rethrow_with_place(const std::string& operator_name, std::size_t subtask, timestamp record_time) {
    try {
        throw;
    } catch (const job_error&) {
        throw;
    } catch (const record_error& e) {
        const timestamp handed_over = e.record_time();
        try {
            std::rethrow_exception(e.cause());
        } catch (...) {
            rethrow_with_place(operator_name, subtask, handed_over);
        }
    } catch (const std::exception& e) {
        std::throw_with_nested(job_error(operator_name, subtask, record_time, e.what()));
    } catch (...) {
        std::throw_with_nested(
            job_error(operator_name, subtask, record_time, "an exception that is not a std::exception"));
    }
}

}  // namespace runnel::detail
