// nginx with njs: the body is collected, parsed, and printed again without the five fields.
// Every request has its own copy of the module, so that this text belongs to one response.
let text = '';

function head(r) {
    delete r.headersOut['Content-Length'];
}

function body(r, data, flags) {
    text += data;
    if (flags.last) {
        const document = JSON.parse(text);
        delete document.customer.email;
        delete document.customer.phone;
        delete document.customer.birth_date;
        delete document.customer.address.street;
        delete document.payment.iban;
        r.sendBuffer(JSON.stringify(document), flags);
    }
}

export default { head, body };
